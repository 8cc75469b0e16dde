import {
  deepStrictEqual as deepEqual,
  match,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import {
  assertHeaders,
  assertProblem,
  createFaultyService,
  EVENT,
  post,
  request,
} from "../support/clients/http.ts";
import {
  bearerHeader,
  mint,
  PUBLISH_TOKEN,
  sign,
  TOKEN_SETTINGS,
} from "../support/clients/tokens.ts";
import { encodeUtf8 } from "../support/generators/text.ts";
import { assertIdle, jsonPost, startService } from "../support/service.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";
import { describeEvent, liveMarker, UNKNOWN_GAP } from "../support/events.ts";

const ndjson = [1, 2, 3].map((payload) => JSON.stringify({ ...EVENT, payload })).join("\n");

for (
  const [form, body, type, count] of [
    ["one event", JSON.stringify(EVENT), "application/json; charset=utf-8", 1],
    ["an array", JSON.stringify([EVENT, EVENT]), "application/json", 2],
    ["NDJSON", `${ndjson}\n`, "application/x-ndjson", 3],
  ] as const
) {
  Deno.test(`POST /ingest answers 202 to ${form}, with the IDs in request order`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    const response = await service.fetch(post("/ingest", body, { "Content-Type": type }));
    equal(response.status, 202);
    assertHeaders(response, { "Content-Type": "application/json", "Idempotency-Replayed": null });
    const { events } = await response.json();
    const epoch = events[0].id.slice(0, 11);
    deepEqual(
      events,
      Array.from({ length: count }, (_, i) => ({ pipeline: "p_a", id: `${epoch}-${i + 1}` })),
    );
    equal(kv.commits, 1, "one atomic commit");
    await assertIdle(service);
  });
}

Deno.test("POST /ingest answers only after the commit", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const commits: number[] = [];
  const publish = service.fetch(jsonPost("/ingest", EVENT));
  publish.then(() => commits.push(kv.commits));
  await publish;
  deepEqual(commits, [1]);
});

for (
  const [type, body, data] of [
    ["application/json", '{"a": 1.50}', '{"a":1.50}'],
    ["application/vnd.github+json", "[12345678901234567890]", "[12345678901234567890]"],
    ["text/plain", '{"a": 1}', '"{\\"a\\": 1}"'],
    ["application/x-www-form-urlencoded", "a=1&b=€", '"a=1&b=€"'],
    ["application/octet-stream", "", '""'],
  ] as const
) {
  Deno.test(`POST /ingest/:pipeline/:channel reads ${type} as ${data}`, async () => {
    await using service = await startService();
    const path = `/ingest/p_a/${encodeURIComponent("my/channel €%41")}`;
    const response = await service.fetch(post(path, body, { "Content-Type": type }));
    equal(response.status, 202);
    const [{ pipeline, id }] = (await response.json()).events;
    equal(pipeline, "p_a");
    const stream = await service.subscribe("p_a/sse");
    deepEqual(await stream.event(), { kind: "event", id, type: "my/channel €%41", data });
    await stream.cancel();
    await assertIdle(service);
  });
}

Deno.test("POST /ingest stores one event for twenty requests with one Idempotency-Key", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const publish = () => service.fetch(jsonPost("/ingest", EVENT, { "Idempotency-Key": "k~!" }));
  const responses = await Promise.all(Array.from({ length: 20 }, publish));
  responses.push(await publish());
  const bodies = await Promise.all(responses.map((response) => response.text()));
  deepEqual(new Set(responses.map(({ status }) => status)), new Set([202]));
  equal(new Set(bodies).size, 1);
  const replayed = responses.map(({ headers }) => headers.get("Idempotency-Replayed"));
  deepEqual(replayed.filter((value) => value === null), [null]);
  equal(replayed.filter((value) => value === "true").length, 20);
  equal(kv.commits, 1);
  await assertIdle(service);
});

Deno.test("POST /ingest rejects an Idempotency-Key that was used with other events", async () => {
  await using service = await startService();
  const headers = { "Idempotency-Key": "k" };
  equal((await service.fetch(jsonPost("/ingest", EVENT, headers))).status, 202);
  const other = await service.fetch(jsonPost("/ingest", { ...EVENT, payload: 2 }, headers));
  match(await assertProblem(other, 422, "key-reused"), /new key/);
  const raw = await service.fetch(post("/ingest/p_a/events", "3", headers));
  await assertProblem(raw, 422, "key-reused");
  await assertIdle(service);
});

Deno.test("POST /ingest accepts one of two concurrent bodies with one Idempotency-Key", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const responses = await Promise.all(
    [1, 2].map((payload) =>
      service.fetch(jsonPost("/ingest", { ...EVENT, payload }, { "Idempotency-Key": "k" }))
    ),
  );
  deepEqual(responses.map(({ status }) => status).sort(), [202, 422]);
  equal(kv.commits, 1);
});

Deno.test("DELETE /pipelines/:pipeline/events clears the history and keeps the sequence", async () => {
  await using service = await startService();
  const before = await service.publish("p_a", "events", 1);
  const remove = () => service.fetch(request("/pipelines/p_a/events", { method: "DELETE" }));
  for (const response of [await remove(), await remove()]) {
    equal(response.status, 204);
    equal(response.body, null);
  }
  const response = await service.fetch(request("/pipelines/p_a/events"));
  deepEqual((await response.json()).events, []);
  const after = await advanceUntil(service.clock, service.publish("p_a", "events", 2));
  equal(after, before.replace(/1$/, "2"));
  const other = await service.fetch(request("/pipelines/p_b/events", { method: "DELETE" }));
  equal(other.status, 204);
  await assertIdle(service);
});

Deno.test("DELETE /pipelines/:pipeline begins a new log, and tells its subscribers", async () => {
  await using service = await startService();
  const before = await service.publish("p_a", "events", 1);
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  // The sweep of the first one may be faster than the second, which tries again then.
  const remove = () =>
    advanceUntil(service.clock, service.fetch(request("/pipelines/p_a", { method: "DELETE" })));
  for (const response of [await remove(), await remove()]) {
    equal(response.status, 204);
    equal(response.body, null);
  }
  const [gap, live] = await stream.events(2);
  deepEqual([gap, live].map((event) => describeEvent(event!)), [UNKNOWN_GAP, liveMarker(0)]);
  const history = await service.fetch(request("/pipelines/p_a/events"));
  deepEqual((await history.json()).events, []);
  const after = await advanceUntil(service.clock, service.publish("p_a", "events", 2));
  equal(after.split("-")[0], gap!.id!.split("-")[0]);
  equal(after.split("-")[0] === before.split("-")[0], false);
  deepEqual((await stream.events(1)).map(describeEvent), [2]);
  await stream.cancel();
  const resumed = await service.subscribe("p_a/sse", { "Last-Event-ID": before });
  deepEqual((await resumed.events(3)).map(describeEvent), [UNKNOWN_GAP, 2, liveMarker(1)]);
  await resumed.cancel();
  const unwritten = await service.fetch(request("/pipelines/p_b", { method: "DELETE" }));
  equal(unwritten.status, 204);
  await advanceUntil(service.clock, until(() => service.log.pending.sweeps === 0), 500);
  await assertIdle(service);
});

const sizes: [setting: string, value: string, fits: unknown, tooMuch: unknown, status: number][] = [
  ["RUNNEL_MAX_EVENTS", "2", [EVENT, EVENT], [EVENT, EVENT, EVENT], 422],
  [
    "RUNNEL_MAX_PAYLOAD_BYTES",
    "64",
    { ...EVENT, payload: "x".repeat(62) },
    { ...EVENT, payload: "x".repeat(63) },
    422,
  ],
  [
    "RUNNEL_MAX_BODY_BYTES",
    "1024",
    { ...EVENT, payload: "x".repeat(900) },
    { ...EVENT, payload: "x".repeat(1024) },
    413,
  ],
];

for (const [setting, value, fits, tooMuch, status] of sizes) {
  Deno.test(`${setting} rejects a request over the limit with ${status}`, async () => {
    await using service = await startService({ settings: { [setting]: value } });
    equal((await service.fetch(jsonPost("/ingest", fits))).status, 202);
    const { sequence } = await service.log.ensureHead("p_a");
    equal((await service.fetch(jsonPost("/ingest", tooMuch))).status, status);
    equal((await service.log.ensureHead("p_a")).sequence, sequence);
  });
}

Deno.test("RUNNEL_BODY_TIMEOUT_MS rejects a stalled body with 408", async () => {
  await using service = await startService({ settings: { RUNNEL_BODY_TIMEOUT_MS: "500" } });
  for (const path of ["/ingest", "/ingest/p_a/events", "/pipelines/p_a/tickets"]) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const headers = { "Content-Type": "application/json" };
    const request = new Request(`http://localhost${path}`, {
      method: "POST",
      headers,
      body: readable,
    });
    const answer = service.fetch(request);
    await writer.write(encodeUtf8("{"));
    await flush();
    service.clock.advance(500);
    const response = await answer;
    equal(response.status, 408, path);
    equal((await response.json()).type, "urn:runnel:problem:request-timeout");
    // A body that takes too long is cancelled.
    await rejects(writer.closed);
  }
});

Deno.test("a request with one channel that the token does not grant is not stored", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const headers = bearerHeader(await mint({ publish: ["p_a"], channels: ["orders"] }));
  const events = ["orders", "names"].map((channel) => ({ ...EVENT, channel }));
  equal((await service.fetch(jsonPost("/ingest", events, headers))).status, 403);
  equal((await service.fetch(jsonPost("/ingest", events.slice(0, 1), headers))).status, 202);
  equal((await service.log.ensureHead("p_a")).sequence, 1);
});

Deno.test("POST /ingest keeps the idempotency keys of publishers apart, and those of a renewed token", async () => {
  // As in a rotation of the operator's token.
  const rotated = "another-token-of-the-operator";
  const RUNNEL_PUBLISH_TOKENS = `${PUBLISH_TOKEN},${rotated}`;
  const settings = { ...TOKEN_SETTINGS, RUNNEL_PUBLISH_TOKENS };
  await using service = await startService({ settings });
  const publish = async (token: string, channel: string, payload: unknown) => {
    const headers = { ...bearerHeader(token), "Idempotency-Key": "order-17" };
    const response = await service.fetch(jsonPost(`/ingest/p_a/${channel}`, payload, headers));
    await response.body?.cancel();
    return [response.status, response.headers.get("Idempotency-Replayed")];
  };
  const grant = (channel: string) => ({ publish: ["p_a"], channels: [channel] });
  const minute = 60_000;
  const token = (channel: string, minutes: number, claims = {}) =>
    sign({ runnel: grant(channel), exp: service.clock.now() / 1000 + 60 * minutes, ...claims });
  const squatter = await token("chat", 1);
  deepEqual(await publish(squatter, "chat", "mine"), [202, null]);
  deepEqual(await publish(await token("orders", 1), "orders", 17), [202, null]);
  deepEqual(await publish(PUBLISH_TOKEN, "orders", "the operator's"), [202, null]);
  deepEqual(await publish(await token("orders", 1, { sub: "bob" }), "orders", 18), [202, null]);
  deepEqual(await publish(await token("orders", 1, { sub: "eve" }), "orders", 19), [202, null]);
  const others = { iss: "https://other.example", sub: "bob" };
  deepEqual(await publish(await token("orders", 1, others), "orders", 20), [202, null]);

  service.clock.advance(2 * minute);
  deepEqual(await publish(await token("orders", 5), "orders", 17), [202, "true"]);
  deepEqual(await publish(await token("orders", 5, { sub: "bob" }), "orders", 18), [202, "true"]);
  deepEqual(await publish(await token("orders", 5, { sub: "bob" }), "orders", 99), [422, null]);
  deepEqual(await publish(rotated, "orders", "the operator's"), [202, "true"]);
});
