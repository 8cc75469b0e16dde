import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { exportJWK, generateKeyPair } from "jose";
import type { Settings } from "../../lib/config/config.ts";
import { FaultyKv, holds } from "../support/faulty_kv.ts";
import { event } from "../support/hub.ts";
import { assertIdle } from "../support/idle.ts";
import { serveLocally } from "../support/local_server.ts";
import { StreamReader } from "../support/stream_reader.ts";
import { createTestService, jsonPost, type TestService } from "../support/test_service.ts";
import { bearing, mint, PUBLISH_TOKEN, SECRET, sign, TOKEN_SETTINGS } from "../support/tokens.ts";

const SSE = "http://localhost/pipelines/p_a/sse";

function from(hostname: string) {
  return { remoteAddr: { transport: "tcp" as const, hostname, port: 1234 } };
}

/** Opens a stream from an address, as it is or as a proxy forwards it. */
async function connect(
  { fetch }: TestService,
  { address = "192.0.2.1", forwarded = "", pipeline = "p_a" } = {},
): Promise<Response> {
  const headers = { "X-Forwarded-For": forwarded };
  const request = new Request(`http://localhost/pipelines/${pipeline}/sse`, { headers });
  return await fetch(request, from(address));
}

async function assertRefused(response: Response, status: number, type: string): Promise<void> {
  const body = await response.json();
  deepEqual([response.status, body.type], [status, `urn:runnel:problem:${type}`]);
  equal(response.headers.get("Retry-After"), "1");
}

Deno.test("a stream ends with its token, to the millisecond, after its last event", async () => {
  await using service = await createTestService({ settings: TOKEN_SETTINGS });
  const token = await mint({ subscribe: ["p_a"] }, service.clock.now() + 5000);
  const stream = await service.subscribe("p_a/sse", bearing(token));
  await stream.until("runnel.live");
  service.clock.advance(4999);
  await service.hub.publish("p_a", [event(1)]);
  service.clock.advance(1);
  await service.hub.publish("p_a", [event(2)]);
  deepEqual((await stream.until("no such event")).map(({ data }) => data), ["1"]);
  await assertIdle(service);
});

Deno.test("a stream ends with its token, however long the log took to let it in", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const open = () => Promise.resolve(kv);
  await using service = await createTestService({ settings: TOKEN_SETTINGS, open });
  const token = await mint({ subscribe: ["p_a"] }, service.clock.now() + 5000);
  await service.log.open("p_a");
  const reading = holds("answer");
  kv.script("get", reading.fault);
  const opening = service.subscribe("p_a/sse", bearing(token));
  await reading.met;
  service.clock.advance(2000);
  reading.release();
  const stream = await opening;
  await stream.until("runnel.live");
  service.clock.advance(3000);
  equal(await stream.event(), null);
});

Deno.test("keys that cannot be had are a 503, and for an EventSource a stream that says to come back", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = Response.json({ keys: [{ ...await exportJWK(publicKey), kid: "k1" }] });
  const down = Promise.resolve(new Response(null, { status: 500 }));
  let answer = () => down.then((response) => response.clone());
  await using server = serveLocally(() => answer());
  const settings = { RUNNEL_JWKS_URL: server.url, RUNNEL_SUBSCRIBE: "token" };
  await using service = await createTestService({ settings });
  const claims = { runnel: { publish: ["p_a"], subscribe: ["p_a"] } };
  const headers = bearing(await sign(claims, { key: privateKey, alg: "ES256", kid: "k1" }));
  const eventSource = { ...headers, Accept: "text/event-stream" };

  await assertRefused(await service.fetch(new Request(SSE, { headers })), 503, "keys-unavailable");
  await assertRefused(
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

// ---------------------------------------------------------------------- limits

const limits: [
  setting: string,
  refused: { pipeline?: string; address?: string },
  is: [number, string],
][] = [
  ["RUNNEL_MAX_SUBSCRIBERS", { pipeline: "p_b", address: "192.0.2.2" }, [503, "overloaded"]],
  ["RUNNEL_MAX_PIPELINE_SUBSCRIBERS", { address: "192.0.2.2" }, [503, "overloaded"]],
  ["RUNNEL_MAX_ADDRESS_SUBSCRIBERS", { pipeline: "p_b" }, [429, "too-many-requests"]],
  ["RUNNEL_MAX_PIPELINES", { pipeline: "p_b", address: "192.0.2.2" }, [503, "overloaded"]],
];

for (const [setting, refused, [status, type]] of limits) {
  Deno.test(`${setting} refuses one more with ${status}, until another leaves`, async () => {
    await using service = await createTestService({ settings: { [setting]: "1" } });
    const first = await connect(service);
    await assertRefused(await connect(service, refused), status, type);
    await first.body!.cancel();
    const next = await connect(service, refused);
    equal(next.status, 200);
    await next.body!.cancel();
    await assertIdle(service);
  });
}

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS counts the address of the connection, whatever a header says", async () => {
  const settings = { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1" };
  await using service = await createTestService({ settings });
  const first = await connect(service, { forwarded: "198.51.100.1" });
  await assertRefused(
    await connect(service, { forwarded: "198.51.100.2" }),
    429,
    "too-many-requests",
  );
  await first.body!.cancel();
});

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS counts what RUNNEL_TRUSTED_PROXIES say", async () => {
  const settings = { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1", RUNNEL_TRUSTED_PROXIES: "1" };
  await using service = await createTestService({ settings });
  const open = (forwarded: string) => connect(service, { address: "127.0.0.1", forwarded });
  const streams = [await open("198.51.100.1"), await open("198.51.100.2")];
  // What a client wrote itself changes nothing.
  await assertRefused(await open("198.51.100.9, 198.51.100.1"), 429, "too-many-requests");
  for (const { body } of streams) await body!.cancel();
});

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS does not count this machine's own address", async () => {
  const settings = { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1" };
  await using service = await createTestService({ settings });
  for (const address of ["127.0.0.1", "127.0.0.1", "::1"]) {
    const response = await connect(service, { address });
    equal(response.status, 200);
    await response.body!.cancel();
  }
});

// --------------------------------------------------------------------- browsers

const ORIGIN = "https://app.example";

async function corsOf(settings: Settings, request: Request): Promise<(string | null)[]> {
  await using service = await createTestService({ settings });
  const response = await service.fetch(request);
  await response.body?.cancel();
  return ["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"]
    .map((name) => response.headers.get(name));
}

for (const method of ["GET", "OPTIONS"]) {
  Deno.test(`the answer to ${method} allows credentials to named origins alone`, async () => {
    const request = (origin: string) => {
      const headers = { Origin: origin, "Access-Control-Request-Method": "GET" };
      return new Request(SSE, { method, headers });
    };
    const named = { RUNNEL_ALLOW_ORIGINS: `http://localhost:5173,${ORIGIN}` };
    deepEqual(await corsOf({}, request(ORIGIN)), ["*", null]);
    deepEqual(await corsOf(named, request(ORIGIN)), [ORIGIN, "true"]);
    const [origin] = await corsOf(named, request("https://evil.example"));
    equal(origin, null);
  });
}

Deno.test("a refusal for want of a token can be read by a page whose origin is named", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_ALLOW_ORIGINS: ORIGIN };
  const request = new Request(SSE, { headers: { Origin: ORIGIN } });
  deepEqual(await corsOf(settings, request), [ORIGIN, "true"]);
});

Deno.test("a cookie opens a stream among others, and the header counts before it", async () => {
  await using service = await createTestService({ settings: TOKEN_SETTINGS });
  const good = await mint({ subscribe: ["p_a"] });
  const statusOf = async (headers: HeadersInit) => {
    const response = await service.fetch(new Request(SSE, { headers }));
    await response.body?.cancel();
    return response.status;
  };
  for (const cookie of [`runnel_token=${good}`, `a=b;runnel_token=${good}; c=d`]) {
    equal(await statusOf({ Cookie: cookie }), 200);
    equal(await statusOf({ Cookie: cookie, ...bearing("none-of-ours") }), 401);
  }
  equal(await statusOf({ Cookie: `runnel_token2=${good}` }), 401);
});

// ---------------------------------------------------------------------- tickets

async function askForTicket(
  { fetch }: TestService,
  body: BodyInit | null,
  headers: Record<string, string> = {},
): Promise<Response> {
  const url = "http://localhost/pipelines/p_a/tickets";
  return await fetch(
    new Request(url, { method: "POST", body, headers: { ...bearing(PUBLISH_TOKEN), ...headers } }),
  );
}

Deno.test("POST …/tickets answers with a URL, and until when it has to be used", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_TICKET_MS: "1500" };
  await using service = await createTestService({ settings });
  const response = await askForTicket(service, null, { "X-Forwarded-Proto": "https" });
  equal(response.headers.get("Cache-Control"), "no-store");
  const { url, expires, ...others } = await response.json();
  deepEqual(others, {});
  equal(expires, new Date(service.clock.now() + 1500).toISOString());
  ok(/^http:\/\/localhost\/pipelines\/p_a\/sse\?ticket=[\w-]{22}$/.test(url), url);
});

Deno.test("POST …/tickets believes a proxy of ours that the client came by https", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_TRUSTED_PROXIES: "1" };
  await using service = await createTestService({ settings });
  for (const [said, scheme] of [["https", "https"], ["http", "http"], ["javascript", "http"]]) {
    const response = await askForTicket(service, null, { "X-Forwarded-Proto": said! });
    equal(new URL((await response.json()).url).protocol, `${scheme}:`);
  }
});

for (
  const body of [
    "{",
    "[]",
    '"orders"',
    "null",
    '{"channels":"orders"}',
    '{"channels":[]}',
    '{"channels":["error"]}',
    '{"channel":["orders"]}',
    JSON.stringify({ channels: Array.from({ length: 21 }, (_, index) => `c${index}`) }),
  ]
) {
  Deno.test(`POST …/tickets refuses ${body.slice(0, 40)}, but not before it knows who asks`, async () => {
    await using service = await createTestService({ settings: TOKEN_SETTINGS });
    const known = await askForTicket(service, body);
    equal(known.status, 400);
    equal((await known.json()).type, "urn:runnel:problem:malformed-request");
    const stranger = await askForTicket(service, body, { Authorization: "" });
    await stranger.body?.cancel();
    equal(stranger.status, 401);
  });
}

Deno.test("GET …/events shows who has a token for some channels those alone", async () => {
  await using service = await createTestService({ settings: TOKEN_SETTINGS });
  for (const channel of ["a", "b", "c"]) {
    await service.hub.publish("p_a", [{ ...event(channel), channel }]);
  }
  const headers = bearing(await mint({ subscribe: ["p_a"], channels: ["a", "b"] }));
  const channelsOf = async (query: string) => {
    const request = new Request(`http://localhost/pipelines/p_a/events${query}`, { headers });
    const { events } = await (await service.fetch(request)).json();
    return events?.map(({ channel }: { channel: string }) => channel);
  };
  deepEqual(await channelsOf(""), ["a", "b"]);
  deepEqual(await channelsOf("?channel=b"), ["b"]);
  equal(await channelsOf("?channel=b&channel=c"), undefined);
});

Deno.test("a service whose secret is set answers to any name", async () => {
  await using service = await createTestService({ settings: { RUNNEL_TOKEN_SECRET: SECRET } });
  const response = await service.fetch(new Request("http://events.example/healthz"));
  equal(await response.text(), "ok\n");
});
