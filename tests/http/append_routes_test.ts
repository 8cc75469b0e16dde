import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { EVENT, request } from "../support/clients/http.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { describeEvent, liveMarker, readReplay } from "../support/events.ts";
import { fail, hang } from "../support/fakes/kv.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";

const PATH = "/pipelines/p_a/events";
const NDJSON = { "Content-Type": "application/x-ndjson" };
const EVENT_STREAM = { "Content-Type": "text/event-stream" };

const line = (payload: unknown, rest: object = {}) =>
  `${JSON.stringify({ channel: "events", payload, ...rest })}\n`;

/** A body that the test writes to. */
function openBody() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const write = (text: string) => writer.write(new TextEncoder().encode(text));
  return { readable, write, close: () => writer.close(), abort: () => writer.abort("cut off") };
}

interface Opening {
  path?: string;
  headers?: HeadersInit;
}

/** Opens an append. */
function open(
  { fetch }: TestService,
  { path = PATH, headers = NDJSON }: Opening = {},
) {
  const body = openBody();
  const answer = fetch(request(path, { method: "POST", headers, body: body.readable }));
  answer.catch(() => {});
  return { ...body, answer };
}

/** Appends a whole text. */
function appendText(
  { fetch }: TestService,
  body: string,
  { path = PATH, headers = NDJSON }: Opening = {},
): Promise<Response> {
  return fetch(request(path, { method: "POST", headers, body }));
}

/** Asserts the problem of an append, and how much of it stands. */
async function assertStands(
  response: Response,
  { status, type, accepted }: { status: number; type: string; accepted: number },
): Promise<string> {
  const body = await response.json();
  equal(response.status, status, JSON.stringify(body));
  equal(body.type, `urn:runnel:problem:${type}`);
  equal(body.accepted, accepted);
  equal(body.lastEventId === null, accepted === 0);
  equal(response.headers.get("Connection"), "close");
  return body.detail;
}

Deno.test("POST /pipelines/:pipeline/events stores each event as it comes, and tells how many stand", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  const { write, close, answer } = open(service);
  const ids: (string | undefined)[] = [];
  for (const payload of [1, [2], { "3": 3.0 }]) {
    await write(line(payload));
    const event = (await stream.event())!;
    deepEqual(describeEvent(event), payload);
    ids.push(event.id);
  }
  await close();
  const response = await answer;
  equal(response.status, 200);
  deepEqual(await response.json(), { accepted: 3, lastEventId: ids[2], ended: false });
  await stream.cancel();
  await assertIdle(service);
});

Deno.test("POST /pipelines/:pipeline/events takes an event stream, its types as channels", async () => {
  await using service = await startService();
  const text = 'retry: 5\n\n: comment\ndata: {"a": 1}\nid: x\n\nevent: tok\ndata: 1.0\n\n' +
    "event: error\ndata: oh\n\nevent: runnel.live\ndata: 1\n\ndata: unfinished";
  const response = await appendText(service, text, { headers: EVENT_STREAM });
  equal((await response.json()).accepted, 3);
  const history = await (await service.fetch(request(PATH))).json();
  deepEqual(
    history.events.map(({ channel, payload }: typeof EVENT) => [channel, payload]),
    [["message", { a: 1 }], ["tok", "1.0"], ["stream.error", "oh"]],
  );
});

Deno.test("POST /pipelines/:pipeline/events takes channel and data from the query", async () => {
  await using service = await startService();
  const path = `${PATH}?channel=tokens&data=text`;
  await appendText(service, 'data: {"a":1}\n\n', { headers: EVENT_STREAM, path });
  const { events: [{ channel, payload }] } = await (await service.fetch(request(PATH))).json();
  deepEqual([channel, payload], ["tokens", '{"a":1}']);
  for (const query of ["?chanel=a", "?data=yaml", "?after=x"]) {
    equal((await appendText(service, "", { path: PATH + query })).status, 400, query);
  }
});

Deno.test("POST /pipelines/:pipeline/events accepts an empty body", async () => {
  await using service = await startService();
  for (const body of ["", null]) {
    const response = await service.fetch(request(PATH, { method: "POST", headers: NDJSON, body }));
    deepEqual(await response.json(), { accepted: 0, lastEventId: null, ended: false });
  }
  await assertIdle(service);
});

Deno.test("POST /pipelines/:pipeline/events refuses a bad line with its number, and what came before stands", async () => {
  for (
    const [bad, type, problem] of [
      ['{"channel":"events"}', "invalid-event", /event 2, line 4: payload is missing/],
      ["nonsense", "invalid-event", /line 4/],
      ['{"channel":"c","payload":1,"end":"yes"}', "invalid-event", /end: expected true or false/],
    ] as const
  ) {
    await using service = await startService();
    const append = open(service);
    await append.write(`${line(1)}\n${line(2)}${bad}\n${line(4)}`);
    // The client still sends.
    const response = await advanceUntil(service.clock, append.answer);
    match(await assertStands(response, { status: 422, type, accepted: 2 }), problem);
    deepEqual(await readReplay(service), [1, 2, liveMarker(2)]);
    await append.close().catch(() => {});
    await assertIdle(service);
  }
});

Deno.test("POST /pipelines/:pipeline/events keeps what came whole of a body that breaks off", async () => {
  await using service = await startService();
  const append = open(service);
  await append.write(`${line(1)}${line(2)}{"channel":"events","pay`);
  await append.abort();
  await assertStands(await append.answer, { status: 400, type: "malformed-request", accepted: 2 });
  deepEqual(await readReplay(service), [1, 2, liveMarker(2)]);
  await assertIdle(service);
});

Deno.test("POST /pipelines/:pipeline/events ends at once when the instance drains", async () => {
  const service = await startService();
  const append = open(service);
  await append.write(line(1));
  await until(() => service.metrics.events.value === 1);
  const drained = service.hub.stopPublishing(2500);
  await assertStands(await append.answer, { status: 503, type: "draining", accepted: 1 });
  await drained;
  await service[Symbol.asyncDispose]();
});

Deno.test("POST /pipelines/:pipeline/events ends after a pause that is too long, and not before", async () => {
  await using service = await startService({ settings: { RUNNEL_APPEND_IDLE_MS: "1000" } });
  const append = open(service);
  for (let i = 0; i < 3; i++) {
    await append.write("\n");
    await flush();
    service.clock.advance(999);
    await flush();
  }
  await append.write(line(1));
  await flush();
  service.clock.advance(1000);
  const response = await append.answer;
  await assertStands(response, { status: 408, type: "request-timeout", accepted: 1 });
  await assertIdle(service);
});

Deno.test("POST /pipelines/:pipeline/events takes no wait of its own for a pause of the body", async () => {
  const settings = {
    ...TOKEN_SETTINGS,
    RUNNEL_PUBLISH_RATE: "10",
    RUNNEL_APPEND_IDLE_MS: "1500",
  };
  await using service = await startService({ settings });
  const headers = { ...NDJSON, ...bearerHeader(await mint({ publish: ["p_a"] })) };
  const append = open(service, { headers });
  const writing = append.write(Array.from({ length: 35 }, (_, i) => line(i)).join(""));
  const { status } = await advanceUntil(
    service.clock,
    writing.then(() => append.close()).then(() => append.answer),
    100,
  );
  equal(status, 200);
  equal(service.metrics.events.value, 35);
});

Deno.test("POST /pipelines/:pipeline/events reads no more than may wait while the log does not answer", async () => {
  await using service = await startService();
  const { kv, clock } = service;
  kv.fallback = (call) => call === "commit" ? hang : (carryOut) => carryOut();
  const text = new TextEncoder().encode(line("x".repeat(10_000)));
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += text.length;
      controller.enqueue(text);
    },
  }, { highWaterMark: 0 });
  const answer = service.fetch(request(PATH, { method: "POST", headers: NDJSON, body }));
  let before = -1;
  while (pulled !== before) {
    before = pulled;
    await flush();
  }
  ok(pulled > 64 * 1024 && pulled < 160 * 1024, `${pulled} bytes were read`);
  const response = await advanceUntil(clock, answer, 100);
  await assertStands(response, { status: 503, type: "outcome-unknown", accepted: 0 });
});

Deno.test("POST /pipelines/:pipeline/events tells what stands when the log fails, and not that nothing does", async () => {
  await using service = await startService();
  const append = open(service, { headers: { ...NDJSON, "Idempotency-Key": "k" } });
  await append.write(line(1));
  await until(() => service.metrics.events.value === 1);
  // The records of keys are read before anything is stored.
  service.kv.fallback = () => fail();
  await append.write(line(2));
  const response = await advanceUntil(service.clock, append.answer, 100);
  const expected = { status: 503, type: "log-unavailable", accepted: 1 };
  match(
    await assertStands(response, expected),
    /does not take events now\. Go on after the events that stand$/,
  );
  await append.close().catch(() => {});
});

Deno.test("POST /pipelines/:pipeline/events reads a large piece in turns with other requests", async () => {
  await using service = await startService();
  let isAnswered = false;
  const answer = appendText(service, "\n".repeat(256 * 1024));
  answer.then(() => isAnswered = true);
  let turns = 0;
  for (; !isAnswered; turns++) await new Promise((resolve) => setImmediate(resolve));
  equal((await answer).status, 200);
  ok(turns >= 32, `${turns} turns`);
});

Deno.test("POST /pipelines/:pipeline/events reserves memory for all that it holds of an event", async () => {
  await using service = await startService();
  const append = open(service);
  await append.write(`{"channel":"events","payload":"${"x".repeat(10_000)}`);
  await until(() => service.bodies.bytes > 10_000);
  await append.write('"}\n');
  await append.close();
  equal((await append.answer).status, 200);
  await assertIdle(service);
});

Deno.test("POST /pipelines/:pipeline/events counts its events by the rate limit, and waits beyond it", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_PUBLISH_RATE: "10" };
  await using service = await startService({ settings });
  const headers = { ...NDJSON, ...bearerHeader(await mint({ publish: ["p_a"] })) };
  const append = open(service, { headers });
  const writing = append.write(Array.from({ length: 25 }, (_, i) => line(i)).join(""));
  const stored = () => service.metrics.events.value;
  await until(() => stored() === 9);
  await flush();
  equal(stored(), 9, "the request is counted, too");
  for (const expected of [19, 25]) {
    service.clock.advance(1000);
    await until(() => stored() === expected);
    await flush();
    equal(stored(), expected);
  }
  await writing;
  await append.close();
  equal((await append.answer).status, 200);
});

Deno.test("POST /pipelines/:pipeline/events takes no more appends at once than a token may have", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_MAX_CLIENT_APPENDS: "1", RUNNEL_MAX_APPENDS: "2" };
  await using service = await startService({ settings });
  const tokens = await Promise.all(["a", "b", "c"].map((sub) => mint({ publish: [`p_${sub}`] })));
  const openAs = (index: number) =>
    open(service, {
      path: `/pipelines/p_${"abc"[index]}/events`,
      headers: { ...NDJSON, ...bearerHeader(tokens[index]!) },
    });
  const first = openAs(0);
  await until(() => service.hub.stats.appends === 1);
  const second = openAs(0);
  equal((await second.answer).status, 429);
  const other = openAs(1);
  await until(() => service.hub.stats.appends === 2);
  equal((await openAs(2).answer).status, 503);
  for (const append of [first, other]) {
    await append.close();
    equal((await append.answer).status, 200);
  }
  await assertIdle(service);
});

Deno.test("POST /pipelines/:pipeline/events ends when its token does", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const token = await mint({ publish: ["p_a"] }, service.clock.now() + 60_000);
  const append = open(service, { headers: { ...NDJSON, ...bearerHeader(token) } });
  await append.write(line(1));
  await until(() => service.metrics.events.value === 1);
  service.clock.advance(60_000);
  const response = await append.answer;
  await assertStands(response, { status: 401, type: "unauthorized", accepted: 1 });
});

Deno.test("POST /pipelines/:pipeline/events refuses an event that its token does not cover", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const token = await mint({ publish: ["p_a"], channels: ["events"] });
  const headers = { ...NDJSON, ...bearerHeader(token) };
  for (const bad of [line(2, { channel: "other" }), line(2, { end: true })]) {
    const append = open(service, { headers });
    await append.write(line(1) + bad);
    await assertStands(await append.answer, { status: 403, type: "forbidden", accepted: 1 });
    await append.close().catch(() => {});
  }
  const other = open(service, { headers, path: "/pipelines/p_b/events" });
  equal((await other.answer).status, 403);
});

Deno.test("POST /pipelines/:pipeline/events ends the run with its last event", async () => {
  await using service = await startService();
  const response = await appendText(service, line(1) + line(2, { end: true }));
  const { accepted, ended } = await response.json();
  deepEqual([accepted, ended], [2, true]);
  const late = open(service);
  await late.write(line(3));
  await assertStands(await late.answer, { status: 409, type: "run-ended", accepted: 0 });
  await late.close().catch(() => {});
});

Deno.test("POST /pipelines/:pipeline/events with a key goes on where it broke off", async () => {
  await using service = await startService();
  const headers = { ...NDJSON, "Idempotency-Key": "k" };
  const append = open(service, { headers });
  await append.write(line(1) + line(2));
  await until(() => service.metrics.events.value === 2);
  await append.abort();
  await append.answer;
  const standing = await service.fetch(request("/pipelines/p_a/append", { headers }));
  equal((await standing.json()).accepted, 2);
  // The whole body once more, …
  const again = await appendText(service, [1, 2, 3].map((i) => line(i)).join(""), { headers });
  equal((await again.json()).accepted, 3);
  // … or only the rest.
  const rest = await appendText(service, line(4), { headers, path: `${PATH}?after=3` });
  equal((await rest.json()).accepted, 4);
  deepEqual(await readReplay(service), [1, 2, 3, 4, liveMarker(4)]);
  const gap = open(service, { headers, path: `${PATH}?after=5` });
  const { status, ...problem } = await gap.answer;
  equal(status, 400, JSON.stringify(problem));
});

Deno.test("POST /pipelines/:pipeline/events with a key fences off a connection that is half open", async () => {
  await using service = await startService();
  const headers = { ...NDJSON, "Idempotency-Key": "k" };
  const half = open(service, { headers });
  await half.write(line(1));
  await until(() => service.metrics.events.value === 1);
  const next = open(service, { headers });
  await next.write(line(1) + line(2));
  await until(() => service.metrics.events.value === 2);
  await half.write(line(2));
  const response = await advanceUntil(service.clock, half.answer);
  // What stands of it is what it stored, not what the other did.
  await assertStands(response, { status: 409, type: "append-superseded", accepted: 1 });
  await next.write(line(3));
  await next.close();
  equal((await (await next.answer).json()).accepted, 3);
  deepEqual(await readReplay(service), [1, 2, 3, liveMarker(3)]);
  await half.close().catch(() => {});
});

Deno.test("POST /pipelines/:pipeline/events refuses other types, codings and reserved pipelines", async () => {
  await using service = await startService();
  const json = { "Content-Type": "application/json" };
  equal((await appendText(service, "{}", { headers: json })).status, 415);
  const coded = { ...NDJSON, "Content-Encoding": "gzip" };
  equal((await appendText(service, "{}", { headers: coded })).status, 415);
  const canary = "/pipelines/p_runnel-canary-1/events";
  equal((await appendText(service, line(1), { path: canary })).status, 403);
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/append tells nothing of another key, and asks for one", async () => {
  await using service = await startService();
  await service.fetch(jsonPost("/ingest", EVENT));
  const path = "/pipelines/p_a/append";
  const headers = { "Idempotency-Key": "other" };
  deepEqual(await (await service.fetch(request(path, { headers }))).json(), {
    accepted: 0,
    lastEventId: null,
    ended: false,
  });
  equal((await service.fetch(request(path))).status, 400);
});
