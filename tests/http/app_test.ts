import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual as notEqual,
  ok,
  strictEqual as equal,
} from "node:assert/strict";
import { driven } from "../support/driven.ts";
import { FaultyKv, hangs, throws } from "../support/faulty_kv.ts";
import { assertIdle } from "../support/idle.ts";
import { readRaw, sendRaw, serveLocally } from "../support/local_server.ts";
import { StreamReader } from "../support/stream_reader.ts";
import { createTestService, jsonPost, type TestService } from "../support/test_service.ts";
import { until } from "../support/test_log.ts";

const ROUTES = [
  { path: "/ingest", allow: "POST" },
  { path: "/ingest/p_a/events", allow: "POST" },
  { path: "/pipelines/p_a/sse", allow: "GET, HEAD" },
  { path: "/pipelines/p_a/events", allow: "GET, HEAD, DELETE" },
  { path: "/", allow: "GET, HEAD" },
  { path: "/diagnose", allow: "GET, HEAD" },
  { path: "/pipelines/diagnose/sse", allow: "GET, HEAD" },
  { path: "/healthz", allow: "GET, HEAD" },
  { path: "/readyz", allow: "GET, HEAD" },
  { path: "/openapi.json", allow: "GET, HEAD" },
];

const STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

const EVENT = { pipeline: "p_a", channel: "events", payload: 1 };

function request(path: string, init: RequestInit = {}): Request {
  return new Request(`http://localhost${path}`, init);
}

function post(path: string, body: BodyInit | null, headers: HeadersInit = {}): Request {
  return request(path, { method: "POST", body, headers });
}

function assertHeaders({ headers }: Response, expected: Record<string, string | null>): void {
  for (const [name, value] of Object.entries(expected)) equal(headers.get(name), value, name);
}

async function assertProblem(response: Response, status: number, type: string): Promise<string> {
  const body = await response.json();
  equal(response.status, status, JSON.stringify(body));
  assertHeaders(response, {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    "Retry-After": status === 503 ? "1" : null,
  });
  deepEqual(Object.keys(body), ["type", "title", "status", "detail"]);
  equal(body.type, `urn:runnel:problem:${type}`);
  equal(body.status, status);
  return body.detail;
}

/** A service whose store can be made to fail, and says what was stored. */
async function createFaultyService(
  settings: Record<string, string> = {},
): Promise<{ service: TestService; kv: FaultyKv }> {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const service = await createTestService({ settings, open: () => Promise.resolve(kv) });
  return { service, kv };
}

// ---------------------------------------------------------------- publishing

const ndjson = [1, 2, 3].map((payload) => JSON.stringify({ ...EVENT, payload })).join("\n");

for (
  const [form, body, type, count] of [
    ["one event", JSON.stringify(EVENT), "application/json; charset=utf-8", 1],
    ["an array", JSON.stringify([EVENT, EVENT]), "application/json", 2],
    ["NDJSON", `${ndjson}\n`, "application/x-ndjson", 3],
  ] as const
) {
  Deno.test(`POST /ingest answers ${form} with 202 and the IDs in request order`, async () => {
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
  Deno.test(`POST /ingest/:pipeline/:channel takes ${type} as ${data}`, async () => {
    await using service = await createTestService();
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

Deno.test("POST /ingest stores one event for twenty concurrent requests with one Idempotency-Key", async () => {
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

Deno.test("POST /ingest refuses an Idempotency-Key that was used with other events", async () => {
  await using service = await createTestService();
  const headers = { "Idempotency-Key": "k" };
  equal((await service.fetch(jsonPost("/ingest", EVENT, headers))).status, 202);
  const other = await service.fetch(jsonPost("/ingest", { ...EVENT, payload: 2 }, headers));
  match(await assertProblem(other, 422, "key-reused"), /new key/);
  const raw = await service.fetch(post("/ingest/p_a/events", "3", headers));
  await assertProblem(raw, 422, "key-reused");
  await assertIdle(service);
});

Deno.test("POST /ingest takes one of two concurrent requests with one Idempotency-Key and other events", async () => {
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

// -------------------------------------------------------------- other routes

Deno.test("GET /pipelines/:pipeline/sse answers with an event stream that nothing holds back", async () => {
  await using service = await createTestService();
  const response = await service.fetch(request("/pipelines/p_a/sse"));
  equal(response.status, 200);
  assertHeaders(response, STREAM_HEADERS);
  equal(service.hub.stats.subscribers, 1);
  await response.body!.cancel();
  await assertIdle(service);
});

Deno.test("a stream is text for a browser's tab, with the same bytes", async () => {
  await using service = await createTestService();
  for (const path of ["/pipelines/p_a/sse", "/pipelines/diagnose/sse"]) {
    for (const method of ["GET", "HEAD"]) {
      const headers = { "Sec-Fetch-Dest": "document" };
      const response = await service.fetch(request(path, { method, headers }));
      assertHeaders(response, {
        ...STREAM_HEADERS,
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
      });
      await response.body?.cancel();
    }
    const other = await service.fetch(request(path, { headers: { "Sec-Fetch-Dest": "empty" } }));
    assertHeaders(other, { ...STREAM_HEADERS, "X-Content-Type-Options": null });
    await other.body?.cancel();
  }
  const [tab, page] = await Promise.all(["document", "empty"].map(async (dest) => {
    const stream = await service.subscribe("p_a/sse", { "Sec-Fetch-Dest": dest });
    await stream.until("runnel.live");
    await stream.cancel();
    return stream.text;
  }));
  equal(tab, page);
  await assertIdle(service);
});

Deno.test("GET /pipelines/diagnose/sse answers with a probe that has the headers of a stream", async () => {
  await using service = await createTestService();
  const response = await service.fetch(request("/pipelines/diagnose/sse?every=50&bytes=1000"));
  equal(response.status, 200);
  assertHeaders(response, STREAM_HEADERS);
  const stream = new StreamReader(response);
  await stream.event();
  service.clock.advance(49);
  equal(service.hub.stats.probes, 1);
  service.clock.advance(1);
  const { line, sent, fill } = JSON.parse((await stream.event())!.data);
  deepEqual([line, sent, fill.length], [2, 50, 1000]);
  await stream.cancel();
  await assertIdle(service);
});

Deno.test("GET /pipelines/diagnose/sse?ask=0 does not ask proxies not to buffer", async () => {
  await using service = await createTestService();
  for (const [ask, asks] of [["0", null], ["1", "no"]] as const) {
    const response = await service.fetch(request(`/pipelines/diagnose/sse?ask=${ask}`));
    assertHeaders(response, { ...STREAM_HEADERS, "X-Accel-Buffering": asks });
    await response.body!.cancel();
  }
});

for (const query of ["every=19", "every=1001", "every=1e2", "bytes=16385", "bytes=-1", "ask=2"]) {
  Deno.test(`GET /pipelines/diagnose/sse?${query} is refused, as is its HEAD`, async () => {
    await using service = await createTestService();
    const path = `/pipelines/diagnose/sse?${query}`;
    const detail = await assertProblem(
      await service.fetch(request(path)),
      400,
      "malformed-request",
    );
    match(detail, /^Cannot read (every|bytes|ask): expected (a whole number from|1 to ask)/);
    equal((await service.fetch(request(path, { method: "HEAD" }))).status, 400);
    await assertIdle(service);
  });
}

Deno.test("GET /pipelines/diagnose/sse refuses more than 64 until their connections are over", async () => {
  await using service = await createTestService();
  const path = "/pipelines/diagnose/sse";
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  for (let i = 0; i < 64; i++) {
    await (await service.fetch(request(path), { completed })).body!.cancel();
  }
  await assertProblem(await service.fetch(request(path)), 503, "overloaded");
  resolve();
  await assertIdle(service);
  await (await service.fetch(request(path))).body!.cancel();
});

Deno.test("GET /pipelines/:pipeline/events answers with the history, its times and its payloads as sent", async () => {
  await using service = await createTestService();
  const time = new Date(service.clock.now()).toISOString();
  const sent = '[{"pipeline":"p_a","channel":"a","payload":12345678901234567890},' +
    '{"pipeline":"p_a","channel":"b","payload":{"text":"\\u2028€","n":1.0}}]';
  const json = { "Content-Type": "application/json" };
  const { events } = await (await service.fetch(post("/ingest", sent, json))).json();
  const response = await service.fetch(request("/pipelines/p_a/events"));
  equal(response.status, 200);
  assertHeaders(response, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  const text = await response.text();
  equal(
    text,
    `{"pipeline":"p_a","events":[` +
      `{"id":"${events[0].id}","channel":"a","time":"${time}","payload":12345678901234567890},` +
      `{"id":"${
        events[1].id
      }","channel":"b","time":"${time}","payload":{"text":"\u2028€","n":1.0}}]}`,
  );
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events answers with the newest events, of the channels asked for", async () => {
  await using service = await createTestService();
  for (let i = 1; i <= 103; i++) await service.publish("p_a", i % 2 ? "odd" : "even", i);
  const history = async (query: string) => {
    const response = await service.fetch(request(`/pipelines/p_a/events${query}`));
    const { events } = await response.json();
    return events.map(({ payload }: { payload: number }) => payload);
  };
  deepEqual(await history(""), Array.from({ length: 100 }, (_, i) => i + 4));
  deepEqual(await history("?history=3"), [101, 102, 103]);
  deepEqual(await history("?history=0"), []);
  deepEqual(await history("?history=4&channel=odd"), [101, 103]);
  deepEqual(await history("?history=3&channel=odd&channel=even"), [101, 102, 103]);
  deepEqual(await history("?channel=other"), []);
});

Deno.test("GET /pipelines/:pipeline/events is empty for a pipeline that nobody wrote to", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const response = await service.fetch(request("/pipelines/p_a/events"));
  equal(await response.text(), '{"pipeline":"p_a","events":[]}');
  equal(kv.commits, 0);
});

Deno.test("DELETE /pipelines/:pipeline/events clears the history while sequences go on", async () => {
  await using service = await createTestService();
  const before = await service.publish("p_a", "events", 1);
  const remove = () => service.fetch(request("/pipelines/p_a/events", { method: "DELETE" }));
  for (const response of [await remove(), await remove()]) {
    equal(response.status, 204);
    equal(response.body, null);
  }
  const response = await service.fetch(request("/pipelines/p_a/events"));
  deepEqual((await response.json()).events, []);
  const after = await driven(service.clock, service.publish("p_a", "events", 2));
  equal(after, before.replace(/1$/, "2"));
  const other = await service.fetch(request("/pipelines/p_b/events", { method: "DELETE" }));
  equal(other.status, 204);
  await assertIdle(service);
});

Deno.test("GET / shows the commands with the address that it was asked at", async () => {
  const settings = { RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher" };
  await using service = await createTestService({ settings });
  const response = await service.fetch(new Request("https://runnel.example:8443/?x=1"));
  equal(response.status, 200);
  match(response.headers.get("Content-Type")!, /^text\/plain/);
  match(await response.text(), /curl -N https:\/\/runnel\.example:8443\/pipelines\/p_aBcDeF\/sse/);
});

Deno.test("GET /healthz and GET /readyz answer", async () => {
  await using service = await createTestService();
  for (const path of ["/healthz", "/readyz"]) {
    const response = await service.fetch(request(path));
    equal(response.status, 200);
    equal(await response.text(), "ok\n");
  }
});

Deno.test("GET /readyz is red after a second without the log, while GET /healthz stays green", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  kv.script("commit", hangs);
  let answered = false;
  const ready = service.fetch(request("/readyz"));
  ready.then(() => answered = true);
  await until(() => kv.calls.commit === 1);
  service.clock.advance(999);
  equal((await service.fetch(request("/healthz"))).status, 200);
  equal(answered, false);
  service.clock.advance(1);
  await assertProblem(await ready, 503, "log-unavailable");
  equal((await service.fetch(request("/readyz"))).status, 200);
});

// ------------------------------------------------------------------- methods

Deno.test("HEAD answers as GET does, without a body and without a subscriber", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  for (const { path, allow } of ROUTES.filter(({ allow }) => allow.includes("GET"))) {
    const get = await service.fetch(request(path));
    await get.body?.cancel();
    const commits = kv.commits;
    const head = await service.fetch(request(path, { method: "HEAD" }));
    equal(head.status, 200, path);
    equal(head.body, null, path);
    ok(allow.includes("HEAD"));
    for (const name of ["Content-Type", "Cache-Control", "X-Accel-Buffering"]) {
      equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`);
    }
    // Whether it is ready, it finds out by a commit.
    equal(kv.commits - commits, path === "/readyz" ? 1 : 0, path);
    await assertIdle(service);
  }
});

Deno.test("HEAD answers bad input as GET does", async () => {
  await using service = await createTestService();
  for (const path of ["/pipelines/a/sse", "/pipelines/p_a/sse?history=x", "/pipelines/a/events"]) {
    const response = await service.fetch(request(path, { method: "HEAD" }));
    equal(response.status, 400, path);
    equal(response.body, null);
  }
  equal((await service.fetch(request("/nowhere", { method: "HEAD" }))).status, 404);
});

for (const { path, allow } of ROUTES) {
  Deno.test(`${path} answers other methods than ${allow} with 405`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"]) {
      if (allow.split(", ").includes(method)) continue;
      const response = await service.fetch(request(path, { method }));
      equal(response.status, 405, method);
      assertHeaders(response, { Allow: allow, "Access-Control-Allow-Origin": "*" });
      if (method !== "HEAD") await assertProblem(response, 405, "method-not-allowed");
    }
    equal(kv.commits, 0);
    await assertIdle(service);
  });
}

Deno.test("an unknown address is answered with 404, whatever the method", async () => {
  await using service = await createTestService();
  for (const path of ["/nowhere", "/ingest/", "/ingest/p_a", "/ingest/p_a/", "/ingest/p_a/b/c"]) {
    for (const method of ["GET", "POST", "DELETE"]) {
      match(
        await assertProblem(await service.fetch(request(path, { method })), 404, "not-found"),
        /GET \//,
      );
    }
  }
  await assertIdle(service);
});

// ---------------------------------------------------------------------- CORS

const CORS_REQUESTS: [string, Request, number][] = [
  ["a publish", jsonPost("/ingest", EVENT), 202],
  ["an event stream", request("/pipelines/p_a/sse"), 200],
  ["the history", request("/pipelines/p_a/events"), 200],
  ["a clear", request("/pipelines/p_a/events", { method: "DELETE" }), 204],
  ["a bad request", request("/pipelines/a/sse"), 400],
  ["an unknown address", request("/nowhere"), 404],
  ["a wrong method", request("/ingest"), 405],
  ["an invalid event", jsonPost("/ingest", {}), 422],
  ["a check", request("/readyz"), 200],
];

for (const [what, original, status] of CORS_REQUESTS) {
  Deno.test(`pages of any origin may read the answer to ${what}`, async () => {
    await using service = await createTestService();
    for (const origin of ["null", "https://example.com"]) {
      const asked = new Request(original.clone());
      asked.headers.set("Origin", origin);
      const response = await service.fetch(asked);
      equal(response.status, status);
      assertHeaders(response, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After,Idempotency-Replayed",
        "Vary": null,
      });
      await response.body?.cancel();
    }
    await assertIdle(service);
  });

  Deno.test(`pages of named origins alone may read the answer to ${what}`, async () => {
    await using service = await createTestService({
      settings: { RUNNEL_ALLOW_ORIGINS: "https://example.com,null" },
    });
    for (
      const [origin, allowed] of [
        ["https://example.com", "https://example.com"],
        ["null", "null"],
        ["https://evil.example", null],
        [null, null],
      ] as const
    ) {
      const asked = new Request(original.clone());
      if (origin) asked.headers.set("Origin", origin);
      const response = await service.fetch(asked);
      equal(response.status, status);
      assertHeaders(response, { "Access-Control-Allow-Origin": allowed, "Vary": "Origin" });
      await response.body?.cancel();
    }
  });
}

Deno.test("a preflight is allowed the methods and headers that there are, and no others", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  for (const { path } of ROUTES) {
    const response = await service.fetch(request(path, {
      method: "OPTIONS",
      headers: {
        "Origin": "null",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-other",
      },
    }));
    equal(response.status, 204);
    equal(response.body, null);
    assertHeaders(response, {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Methods": "GET,HEAD,POST,DELETE",
      "Access-Control-Allow-Headers": "Authorization,Content-Type,Idempotency-Key,Last-Event-ID",
      "Access-Control-Expose-Headers": "Retry-After,Idempotency-Replayed",
      "Access-Control-Max-Age": "86400",
    });
  }
  equal(kv.commits, 0);
  await assertIdle(service);
});

// ----------------------------------------------------------------- bad input

const json = { "Content-Type": "application/json" };
const lines = { "Content-Type": "application/x-ndjson" };
const broken = () =>
  new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"pipeline":"p_a",')),
    pull: (controller) => controller.error(new Error("connection reset")),
  });
const filling = (bytes: number) => JSON.stringify({ ...EVENT, payload: "x".repeat(bytes) });
const deep = (levels: number) =>
  `{"pipeline":"p_a","channel":"events","payload":${"[".repeat(levels)}${"]".repeat(levels)}}`;
const withBadMiddle = [EVENT, { ...EVENT, channel: "error" }, EVENT];
const twoPipelines = [EVENT, { ...EVENT, pipeline: "p_b" }];
const withChannel = (channel: unknown) =>
  post("/ingest", JSON.stringify({ ...EVENT, channel }), json);
const withPipeline = (pipeline: unknown) =>
  post("/ingest", JSON.stringify({ ...EVENT, pipeline }), json);
const withKey = (key: string) => jsonPost("/ingest", EVENT, { "Idempotency-Key": key });
const raw = (path: string, headers: HeadersInit = {}) => post(`/ingest/${path}`, "1", headers);
const subscribe = (pathAndQuery: string) => request(`/pipelines/${pathAndQuery}`);
const channels = (count: number) =>
  Array.from({ length: count }, (_, i) => `channel=c${i}`).join("&");

const BAD: [string, () => Request, number, string, RegExp][] = [
  ["no body", () => post("/ingest", null, json), 400, "malformed-request", /empty/],
  ["an empty body", () => post("/ingest", "", json), 400, "malformed-request", /empty/],
  [
    "an empty NDJSON body",
    () => post("/ingest", "\n \n", lines),
    400,
    "malformed-request",
    /empty/,
  ],
  ["truncated JSON", () => post("/ingest", '{"pipeline":', json), 400, "malformed-request", /JSON/],
  [
    "truncated NDJSON",
    () => post("/ingest", `${JSON.stringify(EVENT)}\n{"pi`, lines),
    400,
    "malformed-request",
    /Event 1 is not JSON/,
  ],
  [
    "a body that is not UTF-8",
    () => post("/ingest", new Uint8Array([0x22, 0xff, 0x22]), json),
    400,
    "malformed-request",
    /UTF-8/,
  ],
  [
    "a wrong content type",
    () => post("/ingest", "a=1", { "Content-Type": "application/x-www-form-urlencoded" }),
    415,
    "unsupported-media-type",
    /application\/json or application\/x-ndjson/,
  ],
  [
    "no content type",
    () => post("/ingest", new TextEncoder().encode(JSON.stringify(EVENT))),
    415,
    "unsupported-media-type",
    /expected Content-Type/,
  ],
  [
    "an encoded body",
    () => jsonPost("/ingest", EVENT, { "Content-Encoding": "gzip" }),
    415,
    "unsupported-media-type",
    /Content-Encoding/,
  ],
  [
    "an encoded raw body",
    () => raw("p_a/events", { "Content-Encoding": "br" }),
    415,
    "unsupported-media-type",
    /Content-Encoding/,
  ],
  ["an empty array", () => post("/ingest", "[]", json), 422, "invalid-event", /1 to 1000 events/],
  [
    "1001 events",
    () => jsonPost("/ingest", Array(1001).fill(EVENT)),
    422,
    "invalid-event",
    /1 to 1000 events, got 1001/,
  ],
  [
    "one bad event in the middle of an array",
    () => jsonPost("/ingest", withBadMiddle),
    422,
    "invalid-event",
    /event 1: channel/,
  ],
  [
    "one bad event in the middle of NDJSON",
    () => post("/ingest", withBadMiddle.map((event) => JSON.stringify(event)).join("\n"), lines),
    422,
    "invalid-event",
    /event 1: channel/,
  ],
  [
    "two pipelines",
    () => jsonPost("/ingest", twoPipelines),
    422,
    "invalid-event",
    /event 1: pipeline: expected p_a/,
  ],
  [
    "a payload over 60 KiB",
    () => post("/ingest", filling(60 * 1024 - 1), json),
    422,
    "invalid-event",
    /event 0: payload: it has 61441 bytes/,
  ],
  [
    "a raw payload over 60 KiB",
    () => post("/ingest/p_a/events", "€".repeat(20 * 1024)),
    422,
    "invalid-event",
    /61442 bytes/,
  ],
  [
    "a payload too deep",
    () => post("/ingest", deep(513), json),
    422,
    "invalid-event",
    /512 levels/,
  ],
  [
    "a payload far too deep",
    () => post("/ingest", deep(200_000), json),
    422,
    "invalid-event",
    /512/,
  ],
  [
    "a body over the limit",
    () => post("/ingest", filling(512 * 1024), json),
    413,
    "too-large",
    /524288 bytes/,
  ],
  [
    "a body that announces to be over the limit",
    () => jsonPost("/ingest", EVENT, { "Content-Length": "524289" }),
    413,
    "too-large",
    /524288 bytes/,
  ],
  [
    "a body over the limit without Content-Length",
    () => post("/ingest", ReadableStream.from(Array(600).fill(new Uint8Array(1024))), json),
    413,
    "too-large",
    /524288 bytes/,
  ],
  [
    "a raw body over the limit",
    () => post("/ingest/p_a/events", "x".repeat(512 * 1024 + 1)),
    413,
    "too-large",
    /524288 bytes/,
  ],
  [
    "an upload that breaks off",
    () => post("/ingest", broken(), json),
    400,
    "malformed-request",
    /broke off/,
  ],
  [
    "a raw upload that breaks off",
    () => post("/ingest/p_a/b", broken()),
    400,
    "malformed-request",
    /broke off/,
  ],
  ["a pipeline without p_", () => withPipeline("a"), 422, "invalid-event", /pipeline: expected p_/],
  ["a pipeline that is no text", () => withPipeline(1), 422, "invalid-event", /event 0: pipeline/],
  ["a pipeline that is p_ alone", () => withPipeline("p_"), 422, "invalid-event", /pipeline/],
  [
    "a pipeline of 65 characters",
    () => withPipeline(`p_${"a".repeat(63)}`),
    422,
    "invalid-event",
    /62/,
  ],
  ["a pipeline with a line break", () => withPipeline("p_a\n"), 422, "invalid-event", /pipeline/],
  [
    "no payload",
    () => jsonPost("/ingest", { pipeline: "p_a", channel: "b" }),
    422,
    "invalid-event",
    /payload/,
  ],
  [
    "an unknown field",
    () => jsonPost("/ingest", { ...EVENT, more: 1 }),
    422,
    "invalid-event",
    /more/,
  ],
  ["an event that is no object", () => post("/ingest", "7", json), 422, "invalid-event", /event 0/],
  ["an empty channel", () => withChannel(""), 422, "invalid-event", /channel: expected 1 to 128/],
  ["a channel of 129 characters", () => withChannel("x".repeat(129)), 422, "invalid-event", /128/],
  ["a channel with a line break", () => withChannel("a\nb"), 422, "invalid-event", /channel/],
  ["a channel with NUL", () => withChannel("a\0"), 422, "invalid-event", /channel/],
  [
    "a channel with a lone surrogate",
    () => withChannel("\ud800"),
    422,
    "invalid-event",
    /well-formed/,
  ],
  ["the channel error", () => withChannel("error"), 422, "invalid-event", /EventSource/],
  ["the channel open", () => withChannel("open"), 422, "invalid-event", /EventSource/],
  ["a channel of ours", () => withChannel("runnel.live"), 422, "invalid-event", /runnel\./],
  [
    "a pipeline without p_ in a raw path",
    () => raw("a/events"),
    400,
    "malformed-request",
    /pipeline: expected p_/,
  ],
  ["a line break in a raw path's channel", () => raw("p_a/a%0Ab"), 422, "invalid-event", /channel/],
  ["NUL in a raw path's channel", () => raw("p_a/%00"), 422, "invalid-event", /channel/],
  [
    "a byte that is no UTF-8 in a raw path's channel",
    () => raw("p_a/%ff"),
    400,
    "malformed-request",
    /percent-encoded UTF-8/,
  ],
  ["the channel error in a raw path", () => raw("p_a/error"), 422, "invalid-event", /EventSource/],
  [
    "a long channel in a raw path",
    () => raw(`p_a/${"x".repeat(129)}`),
    422,
    "invalid-event",
    /128/,
  ],
  [
    "raw JSON that is truncated",
    () => post("/ingest/p_a/b", '{"a"', json),
    400,
    "malformed-request",
    /JSON/,
  ],
  [
    "raw JSON that is empty",
    () => post("/ingest/p_a/b", "", json),
    400,
    "malformed-request",
    /JSON/,
  ],
  [
    "raw JSON that is too deep",
    () => post("/ingest/p_a/b", "[".repeat(513) + "]".repeat(513), json),
    422,
    "invalid-event",
    /512/,
  ],
  [
    "an empty Idempotency-Key",
    () => withKey(""),
    400,
    "malformed-request",
    /Idempotency-Key: expected 1 to 255/,
  ],
  [
    "an Idempotency-Key with a space",
    () => withKey("a b"),
    400,
    "malformed-request",
    /Idempotency-Key/,
  ],
  [
    "an Idempotency-Key beyond ASCII",
    () => withKey("ä"),
    400,
    "malformed-request",
    /Idempotency-Key/,
  ],
  [
    "an Idempotency-Key of 256 characters",
    () => withKey("k".repeat(256)),
    400,
    "malformed-request",
    /Idempotency-Key/,
  ],
  [
    "a bad Idempotency-Key in the raw form",
    () => raw("p_a/b", { "Idempotency-Key": "a b" }),
    400,
    "malformed-request",
    /Idempotency-Key/,
  ],
  [
    "a stream of a pipeline without p_",
    () => subscribe("a/sse"),
    400,
    "malformed-request",
    /pipeline: expected p_/,
  ],
  [
    "a stream of a pipeline with a line break",
    () => subscribe("p_a%0A/sse"),
    400,
    "malformed-request",
    /pipeline/,
  ],
  [
    "a stream of a pipeline that is not UTF-8",
    () => subscribe("p_%ff/sse"),
    400,
    "malformed-request",
    /pipeline/,
  ],
  [
    "a history of a pipeline without p_",
    () => subscribe("a/events"),
    400,
    "malformed-request",
    /pipeline/,
  ],
  [
    "a clear of a pipeline without p_",
    () => request("/pipelines/a/events", { method: "DELETE" }),
    400,
    "malformed-request",
    /pipeline/,
  ],
  [
    "21 channels",
    () => subscribe(`p_a/sse?${channels(21)}`),
    400,
    "malformed-request",
    /channel: expected 20/,
  ],
  [
    "an empty channel to subscribe to",
    () => subscribe("p_a/sse?channel="),
    400,
    "malformed-request",
    /channel/,
  ],
  [
    "the channel error to subscribe to",
    () => subscribe("p_a/sse?channel=a&channel=error"),
    400,
    "malformed-request",
    /EventSource/,
  ],
  [
    "a line break in a channel to subscribe to",
    () => subscribe("p_a/sse?channel=%0A"),
    400,
    "malformed-request",
    /channel/,
  ],
  ...["101", "-1", "1.5", "1e1", "x", "", "0x10", "%2010"].map((
    value,
  ): [string, () => Request, number, string, RegExp] => [
    `history=${value}`,
    () => subscribe(`p_a/sse?history=${value}`),
    400,
    "malformed-request",
    /history: expected a whole number from 0 to 100/,
  ]),
  [
    "a bad query of the history",
    () => subscribe("p_a/events?history=101"),
    400,
    "malformed-request",
    /history/,
  ],
];

for (const [what, make, status, type, detail] of BAD) {
  Deno.test(`${what} is answered with ${status} ${type}, and leaves nothing behind`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    const response = await service.fetch(make());
    match(await assertProblem(response, status, type), detail);
    equal(kv.calls.commit, 0);
    deepEqual(service.reports, []);
    await assertIdle(service);
  });
}

Deno.test("the limits themselves are within the limits", async () => {
  await using service = await createTestService();
  for (
    const [asked, status] of [
      [post("/ingest", filling(60 * 1024 - 2), json), 202],
      [post("/ingest", deep(512), json), 202],
      [jsonPost("/ingest", Array(1000).fill(EVENT)), 202],
      [withChannel("x".repeat(128)), 202],
      [withPipeline(`p_${"a".repeat(62)}`), 202],
      [withKey("k".repeat(255)), 202],
      [jsonPost("/ingest", EVENT, { "Content-Encoding": "identity" }), 202],
      [subscribe(`p_a/sse?${channels(20)}&history=100`), 200],
    ] as const
  ) {
    const response = await service.fetch(asked);
    equal(response.status, status);
    await response.body?.cancel();
  }
});

Deno.test("a body over the limit is not read to its end", async () => {
  await using service = await createTestService();
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(1024)),
    cancel: () => void (cancelled = true),
  });
  await assertProblem(await service.fetch(post("/ingest", endless, json)), 413, "too-large");
  ok(cancelled);
});

// ------------------------------------------------------------------ failures

type Refusal = (service: TestService, kv: FaultyKv) => Promise<unknown> | void;

const PASSING: [string, string, Refusal][] = [
  ["an instance that drains", "draining", ({ hub }) => hub.drain(0)],
  ["an instance that is full", "overloaded", ({ subscribe }) => subscribe("p_b/sse")],
  ["a log that fails", "log-unavailable", (_, kv) => void (kv.fallback = () => throws())],
];

for (const [what, type, refuse] of PASSING) {
  Deno.test(`${what} sends an EventSource away with a stream that ends`, async () => {
    const { service, kv } = await createFaultyService({ RUNNEL_MAX_SUBSCRIBERS: "1" });
    await using _ = service;
    await refuse(service, kv);
    for (const accept of ["text/event-stream", "text/html, text/event-stream;q=0.9"]) {
      const response = await service.fetch(
        request("/pipelines/p_a/sse", { headers: { Accept: accept } }),
      );
      equal(response.status, 200);
      assertHeaders(response, { ...STREAM_HEADERS, "Access-Control-Allow-Origin": "*" });
      const reader = new StreamReader(response);
      const said = await reader.next();
      ok(said?.kind === "retry" && said.ms >= 2000 && said.ms <= 4000, reader.text);
      equal(await reader.next(), null);
    }
  });

  Deno.test(`${what} answers others with 503 and Retry-After`, async () => {
    const { service, kv } = await createFaultyService({ RUNNEL_MAX_SUBSCRIBERS: "1" });
    await using _ = service;
    await refuse(service, kv);
    for (const headers of [{}, { Accept: "*/*" }]) {
      const response = await service.fetch(request("/pipelines/p_a/sse", { headers }));
      await assertProblem(response, 503, type);
    }
  });
}

Deno.test("a lasting refusal is an error status for an EventSource, too", async () => {
  await using service = await createTestService();
  const headers = { Accept: "text/event-stream" };
  const response = await service.fetch(request("/pipelines/a/sse", { headers }));
  await assertProblem(response, 400, "malformed-request");
});

for (
  const [what, make] of [
    ["a publish", () => jsonPost("/ingest", EVENT)],
    ["a raw publish", () => raw("p_a/events")],
    ["a history", () => request("/pipelines/p_a/events")],
    ["a clear", () => request("/pipelines/p_a/events", { method: "DELETE" })],
    ["a check", () => request("/readyz")],
  ] as const
) {
  Deno.test(`${what} is answered with 503 while the log fails, and the operator hears why`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    kv.fallback = () => throws(() => new Error("secret disk"));
    const detail = await assertProblem(await service.fetch(make()), 503, "log-unavailable");
    ok(!detail.includes("secret"));
    match(service.reports.join("\n"), /secret disk/);
    await assertIdle(service);
  });
}

Deno.test("an unforeseen failure is a 500 that tells strangers nothing, and is reported", async () => {
  await using service = await createTestService();
  service.hub.clear = () => Promise.reject(new TypeError("secret at line 7"));
  const response = await service.fetch(request("/pipelines/p_a/events", { method: "DELETE" }));
  equal(response.headers.get("Access-Control-Allow-Origin"), "*");
  ok(!(await assertProblem(response, 500, "internal")).includes("secret"));
  deepEqual(service.reports, [
    "Cannot DELETE /pipelines/p_a/events: TypeError: secret at line 7",
  ]);
});

Deno.test("an unforeseen failure of a stream is a 500 for an EventSource, too", async () => {
  await using service = await createTestService();
  service.hub.subscribe = () => Promise.reject(new TypeError("secret"));
  const headers = { Accept: "text/event-stream" };
  await assertProblem(
    await service.fetch(request("/pipelines/p_a/sse", { headers })),
    500,
    "internal",
  );
  notEqual(service.reports.length, 0);
});

for (const path of ["/?ticket=secret", "/ingest/p_a/events", "/pipelines/p_a/tickets"]) {
  Deno.test(`a Host that is none is refused at ${path}, and nothing of it is reported`, async () => {
    const settings = { RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher" };
    await using service = await createTestService({ settings });
    await using server = serveLocally(service.fetch);
    const method = path.startsWith("/?") ? "GET" : "POST";
    const lines = "Host: a b\r\nAuthorization: Bearer a-token-of-a-publisher\r\nConnection: close";
    const sent = `${method} ${path} HTTP/1.1\r\n${lines}\r\n\r\n`;
    using connection = await sendRaw(server.port, sent);
    const answer = await readRaw(connection);
    match(answer, /^HTTP\/1.1 400 .*urn:runnel:problem:malformed-request.*Cannot read Host/s);
    deepEqual(service.reports, []);
  });
}
