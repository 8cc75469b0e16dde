import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { startService, type TestService } from "../support/service.ts";
import { advanceUntil, flush } from "../support/wait.ts";

const get = (path: string, headers: HeadersInit = {}) =>
  new Request(`http://localhost${path}`, { headers });

const LINES = { Accept: "application/x-ndjson" };

async function open(service: TestService, path: string, headers = {}): Promise<StreamReader> {
  const response = await service.fetch(get(path, headers));
  equal(response.status, 200, path);
  return new StreamReader(response);
}

/** Reads lines of JSON until a number of them have arrived; the stream has to end for more. */
async function readLines(response: Response, count = Infinity): Promise<string[]> {
  let text = "";
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (text.split("\n").length <= count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text.split("\n").slice(0, -1);
}

for (
  const [query, detail] of [
    ["", "expected at least one. Add ?pipeline=p_aBcDeF"],
    ["?pipeline=shop", "expected p_ followed by 1 to 62 letters, digits, _ or -"],
    [
      "?pipeline=p_a,p_b",
      "expected p_ followed by 1 to 62 letters, digits, _ or -. For several, repeat the parameter",
    ],
    ["?pipeline=p_a&pipeline=p_b&pipeline=p_a", "expected no pipeline twice"],
    [
      `?${Array.from({ length: 11 }, (_, i) => `pipeline=p_${i}`).join("&")}`,
      "expected 10 pipelines at most",
    ],
  ] as const
) {
  Deno.test(`GET /sse${query.slice(0, 50)} is refused: ${detail}`, async () => {
    await using service = await startService();
    const response = await service.fetch(get(`/sse${query}`));
    equal(response.status, 400);
    equal((await response.json()).detail, `Cannot read pipeline: ${detail}`);
  });
}

Deno.test("GET /sse refuses a misspelt parameter", async () => {
  await using service = await startService();
  const response = await service.fetch(get("/sse?pipelines=p_a"));
  equal(response.status, 400);
  match((await response.json()).detail, /Did you mean pipeline\?$/);
});

Deno.test("HEAD /sse answers like GET, without a stream", async () => {
  await using service = await startService();
  const head = new Request("http://localhost/sse?pipeline=p_a&pipeline=p_b", { method: "HEAD" });
  const response = await service.fetch(head);
  equal(response.status, 200);
  equal(response.headers.get("Content-Type"), "text/event-stream; charset=utf-8");
  equal(response.body, null);
  equal(service.hub.stats.subscribers, 0);
});

Deno.test("GET /sse takes the position from the URL, and the filter for all pipelines", async () => {
  await using service = await startService();
  const a = await service.publish("p_a", "orders", 1);
  const b = await service.publish("p_b", "orders", 1);
  await service.publish("p_a", "orders", 2);
  await service.publish("p_b", "paid", 3);
  const path = `/sse?pipeline=p_a&pipeline=p_b&channel=orders&lastEventId=${a}.${b}`;
  const stream = await open(service, path);
  const events = await stream.events(3);
  deepEqual(events.map(({ type, data }) => `${type} ${data}`).sort(), [
    "p_a/orders 2",
    'runnel.live {"pipeline":"p_a","replayed":1}',
    'runnel.live {"pipeline":"p_b","replayed":0}',
  ]);
  await stream.cancel();
});

Deno.test("A channel with slashes and spaces is the rest of the type on a joined stream", async () => {
  await using service = await startService();
  await service.publish("p_a", "a/b c/ü", 1);
  const stream = await open(service, "/sse?pipeline=p_a");
  equal((await stream.event())!.type, "p_a/a/b c/ü");
  await stream.cancel();
});

Deno.test("A stream as lines of JSON has each event as a line, with its time", async () => {
  await using service = await startService();
  const time = new Date(service.clock.now()).toISOString();
  const payload = { text: "a\nb\u2028", n: 1e21 };
  const a = await service.publish("p_a", "orders\u2028", payload);
  const response = await service.fetch(get("/pipelines/p_a/sse", LINES));
  equal(response.headers.get("Content-Type"), "application/x-ndjson");
  const lines = await readLines(response, 2);
  // Some programs end a line at the separators of Unicode, too.
  equal(lines.join("").includes("\u2028"), false);
  deepEqual(lines.map((line) => JSON.parse(line)), [
    { id: a, channel: "orders\u2028", time, payload },
    { id: a, channel: "runnel.live", payload: { replayed: 1 } },
  ]);
});

for (const accept of ["Application/X-NDJSON", "application/x-ndjson;q=0.9, */*"]) {
  Deno.test(`A stream is lines of JSON with Accept: ${accept}`, async () => {
    await using service = await startService();
    const response = await service.fetch(get("/sse?pipeline=p_a", { Accept: accept }));
    equal(response.headers.get("Content-Type"), "application/x-ndjson");
    await response.body!.cancel();
  });
}

Deno.test("A client that was told of a deletion is told of no other gap", async () => {
  await using service = await startService();
  const old = await service.publish("p_a", "orders", 1);
  await advanceUntil(service.clock, service.hub.delete("p_a"));
  const id = await advanceUntil(service.clock, service.publish("p_a", "orders", 2));
  for (const path of ["/sse?pipeline=p_a", "/pipelines/p_a/sse"]) {
    const first = await open(service, path, { "Last-Event-ID": old });
    const gap = (await first.event())!;
    equal(gap.type, "runnel.gap");
    await first.cancel();
    const second = await open(service, path, { "Last-Event-ID": gap.id! });
    equal((await second.event())!.id, id);
    equal((await second.event())!.type, "runnel.live");
    await second.cancel();
  }
});

Deno.test("A joined stream as lines of JSON names the pipeline of each line", async () => {
  await using service = await startService();
  const time = new Date(service.clock.now()).toISOString();
  const a = await service.publish("p_a", "orders", 1);
  const response = await service.fetch(get("/sse?pipeline=p_a", LINES));
  deepEqual((await readLines(response, 2)).map((line) => JSON.parse(line)), [
    { id: a, pipeline: "p_a", channel: "orders", time, payload: 1 },
    {
      id: a,
      pipeline: "p_a",
      channel: "runnel.live",
      payload: { pipeline: "p_a", replayed: 1 },
    },
  ]);
});

Deno.test("A keep-alive of lines of JSON is an empty line, or the position that has moved", async () => {
  await using service = await startService();
  const response = await service.fetch(get("/pipelines/p_a/sse?channel=rare", LINES));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  match((await reader.read()).value!, /runnel\.live/);
  let next = reader.read();
  await flush();
  service.clock.advance(15_000);
  equal((await next).value, "\n");
  next = reader.read();
  const id = await service.publish("p_a", "orders", 1);
  await flush();
  service.clock.advance(15_000);
  deepEqual(JSON.parse((await next).value!), { id });
  await reader.cancel();
});

Deno.test("Lines of JSON have traces if they are asked for", async () => {
  await using service = await startService();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await service.fetch(
    new Request("http://localhost/ingest/p_a/orders", {
      method: "POST",
      headers: { "Content-Type": "application/json", traceparent },
      body: "1",
    }),
  );
  for (const path of ["/pipelines/p_a/sse?trace=1", "/sse?pipeline=p_a&trace=1"]) {
    const [line] = await readLines(await service.fetch(get(path, LINES)), 1);
    equal(JSON.parse(line!).traceparent, traceparent);
  }
  const [line] = await readLines(await service.fetch(get("/pipelines/p_a/sse", LINES)), 1);
  equal("traceparent" in JSON.parse(line!), false);
});

Deno.test("A long poll ends at once with the events after a position", async () => {
  await using service = await startService();
  const first = await service.publish("p_a", "orders", 1);
  await service.publish("p_a", "orders", 2);
  const path = `/pipelines/p_a/sse?wait=30&lastEventId=${first}`;
  const stream = await open(service, path);
  deepEqual((await stream.events(9)).map(({ type }) => type), ["orders", "runnel.live"]);
  equal(stream.text.split("\n")[0], "retry: 100");
  equal(service.hub.stats.subscribers, 0);
});

Deno.test("A long poll waits for the next event of its channels, and ends with it", async () => {
  await using service = await startService();
  const stream = await open(service, "/sse?pipeline=p_a&pipeline=p_b&channel=orders&wait=30");
  const events = stream.events(9);
  await flush();
  await service.publish("p_a", "other", 1);
  await flush();
  equal(service.hub.stats.subscribers, 1);
  await service.publish("p_b", "orders", 2);
  deepEqual((await events).map(({ type }) => type), [
    "runnel.live",
    "runnel.live",
    "p_b/orders",
  ]);
  equal(service.hub.stats.subscribers, 0);
});

Deno.test("A long poll ends after its time, with the position that has moved", async () => {
  await using service = await startService();
  const stream = await open(service, "/pipelines/p_a/sse?channel=orders&wait=10");
  const events = stream.events(9);
  await flush();
  const id = await service.publish("p_a", "other", 1);
  await flush();
  service.clock.advance(9_999);
  await flush();
  equal(service.hub.stats.subscribers, 1);
  service.clock.advance(1);
  deepEqual((await events).map(({ type }) => type), ["runnel.live"]);
  match(stream.text, new RegExp(`id: ${id}\n\n$`));
});

Deno.test("A poll without a wait replays all that is asked for, from the log as well", async () => {
  await using service = await startService();
  for (let i = 0; i < 3; i++) {
    for (let n = 0; n < 50; n++) await service.publish("p_a", "orders", `${i} ${n}`);
  }
  const stream = await open(service, "/pipelines/p_a/sse?history=all&wait=0");
  equal((await stream.events(999)).length, 151);
  const empty = await open(service, "/pipelines/p_b/sse?wait=0");
  deepEqual((await empty.events(9)).map(({ type }) => type), ["runnel.live"]);
});

Deno.test("A long poll that is drained ends at once", async () => {
  await using service = await startService();
  const stream = await open(service, "/pipelines/p_a/sse?wait=60");
  const events = stream.events(9);
  await flush();
  await service.hub.stopPublishing(0);
  await service.hub.close();
  deepEqual((await events).map(({ type }) => type), ["runnel.live"]);
});

for (const wait of ["61", "-1", "1.5", "x"]) {
  Deno.test(`A wait of ${wait} seconds is refused`, async () => {
    await using service = await startService();
    const response = await service.fetch(get(`/pipelines/p_a/sse?wait=${wait}`));
    equal((await response.json()).detail, "Cannot read wait: expected a whole number from 0 to 60");
  });
}
