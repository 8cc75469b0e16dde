import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { exportJWK, generateKeyPair } from "jose";
import {
  assertHeaders,
  assertProblem,
  createFaultyService,
  request,
  STREAM_HEADERS,
} from "../support/clients/http.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { bearerHeader, mint, sign, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { drain } from "../support/drain.ts";
import { jsonEvent } from "../support/events.ts";
import { fail, FaultyKv, pause } from "../support/fakes/kv.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";

const SSE = "http://localhost/pipelines/p_a/sse";

Deno.test("GET /pipelines/:pipeline/sse asks proxies not to hold the stream back", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/pipelines/p_a/sse"));
  equal(response.status, 200);
  assertHeaders(response, STREAM_HEADERS);
  equal(service.hub.stats.subscribers, 1);
  await response.body!.cancel();
  await assertIdle(service);
});

Deno.test("a stream in a browser's tab has a text type, and the same bytes", async () => {
  await using service = await startService();
  for (const path of ["/pipelines/p_a/sse", "/pipelines/diagnose/sse"]) {
    for (const method of ["GET", "HEAD"]) {
      const headers = { "Sec-Fetch-Dest": "document" };
      const response = await service.fetch(request(path, { method, headers }));
      assertHeaders(response, {
        ...STREAM_HEADERS,
        "Content-Type": "text/plain; charset=utf-8",
      });
      await response.body?.cancel();
    }
    const other = await service.fetch(request(path, { headers: { "Sec-Fetch-Dest": "empty" } }));
    assertHeaders(other, STREAM_HEADERS);
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

Deno.test("the Last-Event-ID header takes precedence over the one in the URL", async () => {
  await using service = await startService();
  const ids = [];
  for (const payload of [1, 2, 3]) ids.push(await service.publish("p_a", "events", payload));
  const path = `p_a/sse?lastEventId=${ids[0]}`;
  for (
    const [headers, missed] of [[{ "Last-Event-ID": ids[1]! }, ["3"]], [{}, ["2", "3"]]] as const
  ) {
    const stream = await service.subscribe(path, headers);
    const shown = await stream.until("runnel.live");
    deepEqual(shown.slice(0, -1).map(({ data }) => data), missed);
    await stream.cancel();
  }
});

Deno.test("a stream ends with its token, to the millisecond, after its last event", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const token = await mint({ subscribe: ["p_a"] }, service.clock.now() + 5000);
  const stream = await service.subscribe("p_a/sse", bearerHeader(token));
  await stream.until("runnel.live");
  service.clock.advance(4999);
  await service.hub.publish("p_a", [jsonEvent(1)]);
  service.clock.advance(1);
  await service.hub.publish("p_a", [jsonEvent(2)]);
  const data = (await stream.until("no such event")).map(({ data }) => data);
  deepEqual(data, ["1", '{"reason":"expired"}']);
  await assertIdle(service);
});

Deno.test("a stream ends with its token, however long opening it took", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const open = () => Promise.resolve(kv);
  await using service = await startService({ settings: TOKEN_SETTINGS, open });
  const token = await mint({ subscribe: ["p_a"] }, service.clock.now() + 5000);
  await service.log.ensureHead("p_a");
  const reading = pause("answer");
  kv.script("get", reading.fault);
  const opening = service.subscribe("p_a/sse", bearerHeader(token));
  await reading.reached;
  service.clock.advance(2000);
  reading.release();
  const stream = await opening;
  await stream.until("runnel.live");
  service.clock.advance(3000);
  equal((await stream.event())?.type, "runnel.expired");
  equal(await stream.event(), null);
});

Deno.test("unavailable keys are a 503, and a stream that ends for an EventSource", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = Response.json({ keys: [{ ...await exportJWK(publicKey), kid: "k1" }] });
  const down = Promise.resolve(new Response(null, { status: 500 }));
  let answer = () => down.then((response) => response.clone());
  await using server = serveLocally(() => answer());
  const settings = { RUNNEL_JWKS_URL: server.url, RUNNEL_SUBSCRIBE: "token" };
  await using service = await startService({ settings });
  const claims = { runnel: { publish: ["p_a"], subscribe: ["p_a"] } };
  const headers = bearerHeader(await sign(claims, { key: privateKey, alg: "ES256", kid: "k1" }));
  const eventSource = { ...headers, Accept: "text/event-stream" };

  await assertProblem(await service.fetch(new Request(SSE, { headers })), 503, "keys-unavailable");
  await assertProblem(
    await service.fetch(jsonPost("/ingest/p_a/events", 1, headers)),
    503,
    "keys-unavailable",
  );
  const passing = new StreamReader(await service.fetch(new Request(SSE, { headers: eventSource })));
  deepEqual(await passing.next(), { kind: "retry", ms: passing.text.match(/\d+/)?.map(Number)[0] });
  equal(await passing.next(), null);
  equal(service.reports.length, 3);

  answer = () => Promise.resolve(jwks.clone());
  const stream = await service.subscribe("p_a/sse", eventSource);
  await stream.cancel();
  await assertIdle(service);
});

Deno.test("a cookie among others opens a stream, and the header takes precedence", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const good = await mint({ subscribe: ["p_a"] });
  const statusOf = async (headers: HeadersInit) => {
    const response = await service.fetch(new Request(SSE, { headers }));
    await response.body?.cancel();
    return response.status;
  };
  for (const cookie of [`runnel_token=${good}`, `a=b;runnel_token=${good}; c=d`]) {
    equal(await statusOf({ Cookie: cookie }), 200);
    equal(await statusOf({ Cookie: cookie, ...bearerHeader("invalid") }), 401);
  }
  equal(await statusOf({ Cookie: `runnel_token2=${good}` }), 401);
});

Deno.test("the answer to a cookie tells that it is for this cookie", async () => {
  const token = await mint({ subscribe: ["p_a"] });
  const varyOf = async (headers: HeadersInit, settings = {}) => {
    await using service = await startService({ settings: { ...TOKEN_SETTINGS, ...settings } });
    const response = await service.fetch(new Request(SSE, { headers }));
    await response.body?.cancel();
    equal(response.status, 200);
    return response.headers.get("Vary");
  };
  const cookie = { Cookie: `runnel_token=${token}` };
  equal(await varyOf(cookie), "Cookie");
  equal(await varyOf({ ...cookie, ...bearerHeader(token) }), null);
  equal(await varyOf(bearerHeader(token)), null);
  equal(await varyOf(cookie, { RUNNEL_SUBSCRIBE: "public" }), null);
  equal(await varyOf(cookie, { RUNNEL_ALLOW_ORIGINS: "https://example.com" }), "Cookie, Origin");
});

type Refusal = (service: TestService, kv: FaultyKv) => Promise<unknown> | void;

const PASSING: [string, string, Refusal][] = [
  ["an instance that drains", "draining", ({ hub }) => drain(hub)],
  ["an instance that is full", "overloaded", ({ subscribe }) => subscribe("p_b/sse")],
  ["a log that fails", "log-unavailable", (_, kv) => void (kv.fallback = () => fail())],
];

for (const [what, type, refuse] of PASSING) {
  Deno.test(`${what} answers an EventSource with a stream that ends`, async () => {
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
      // From one to two times the setting. The random number of the test is 0.5.
      deepEqual(said, { kind: "retry", ms: 3000 }, reader.text);
      equal(await reader.next(), null);
    }
  });

  Deno.test(`${what} answers other clients with 503 and Retry-After`, async () => {
    const { service, kv } = await createFaultyService({ RUNNEL_MAX_SUBSCRIBERS: "1" });
    await using _ = service;
    await refuse(service, kv);
    const problems = { Accept: "text/event-stream, application/problem+json" };
    for (const headers of [{}, { Accept: "*/*" }, problems]) {
      const response = await service.fetch(request("/pipelines/p_a/sse", { headers }));
      await assertProblem(response, 503, type);
    }
  });
}

Deno.test("a permanent error is an error status for an EventSource, too", async () => {
  await using service = await startService();
  const headers = { Accept: "text/event-stream" };
  const response = await service.fetch(request("/pipelines/a/sse", { headers }));
  await assertProblem(response, 400, "malformed-request");
});

Deno.test("an unexpected error of a stream is a 500 for an EventSource, too", async () => {
  await using service = await startService();
  service.hub.subscribe = () => Promise.reject(new TypeError("secret"));
  const headers = { Accept: "text/event-stream" };
  await assertProblem(
    await service.fetch(request("/pipelines/p_a/sse", { headers })),
    500,
    "internal",
  );
  notEqual(service.reports.length, 0);
});
