import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import type { Settings } from "../../lib/config/config.ts";
import type { RequestInfo } from "../../lib/http/request_env.ts";
import { EVENT, request } from "../support/clients/http.ts";
import { PUBLISH_TOKEN } from "../support/clients/tokens.ts";
import { fail, FaultyKv, pause } from "../support/fakes/kv.ts";
import { readOpenMetrics, type Samples } from "../support/open_metrics.ts";
import { jsonPost, startService, type TestService } from "../support/service.ts";

const METRICS_TOKEN = "the-token-of-a-scraper";
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

const from = (hostname: string): RequestInfo => ({
  remoteAddr: { transport: "tcp", hostname, port: 1 },
});
const HERE = from("127.0.0.1");

/** The page, as a scraper on this machine reads it. */
async function scrape({ fetch }: Pick<TestService, "fetch">): Promise<Samples> {
  const response = await fetch(request("/metrics"), HERE);
  equal(response.status, 200);
  return readOpenMetrics(await response.text());
}

/** The samples that are not zero, of those whose names begin with a text. */
function nonZero(samples: Samples, start: string): Record<string, number> {
  return Object.fromEntries(
    [...samples].filter(([name, value]) => name.startsWith(start) && value !== 0),
  );
}

Deno.test("GET /metrics answers in the OpenMetrics format, and is not stored", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/metrics"), HERE);
  equal(
    response.headers.get("Content-Type"),
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  equal(response.headers.get("Cache-Control"), "no-store");
  const samples = readOpenMetrics(await response.text());
  equal(samples.get("runnel_subscribers"), 0);
});

const own: [string, RequestInfo, Record<string, string>, string, number][] = [
  ["this machine", HERE, {}, "localhost", 200],
  ["this machine over IPv6", from("::1"), {}, "[::1]", 200],
  ["a page of this machine", HERE, { Origin: "http://localhost:5173" }, "localhost", 200],
  ["another machine", from("192.0.2.1"), {}, "localhost", 403],
  ["an unknown address", {}, {}, "localhost", 403],
  ["a proxy with X-Forwarded-For", HERE, { "X-Forwarded-For": "127.0.0.1" }, "localhost", 403],
  ["a proxy with Forwarded", HERE, { Forwarded: "for=127.0.0.1" }, "localhost", 403],
  ["a proxy with Via", HERE, { Via: "1.1 proxy" }, "localhost", 403],
  ["a proxy with X-Real-IP", HERE, { "X-Real-IP": "127.0.0.1" }, "localhost", 403],
  ["a page of another site", HERE, { Origin: "https://example.com" }, "localhost", 403],
  ["a sandboxed page", HERE, { Origin: "null" }, "localhost", 403],
  ["a link of another site", HERE, { "Sec-Fetch-Site": "cross-site" }, "localhost", 403],
  ["a name that points to this machine", HERE, {}, "example.com", 403],
];

const secrets: [string, Settings][] = [
  ["without secrets", {}],
  ["with a secret of publishers", { RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN }],
];

for (const [name, settings] of secrets) {
  Deno.test(`GET /metrics ${name} and without its token is for this machine alone`, async () => {
    await using service = await startService({ settings });
    for (const [client, info, headers, host, status] of own) {
      const response = await service.fetch(
        new Request(`http://${host}/metrics`, { headers: { Host: host, ...headers } }),
        info,
      );
      const text = await response.text();
      equal(response.status, status, `${client}: ${text.slice(0, 200)}`);
      equal(text.includes("runnel_events_total"), status === 200);
    }
  });
}

Deno.test("GET /metrics with RUNNEL_METRICS_TOKEN is for its bearers, wherever they are", async () => {
  const settings = { RUNNEL_METRICS_TOKEN: METRICS_TOKEN, RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN };
  await using service = await startService({ settings });
  const status = async (headers: Record<string, string>, info: RequestInfo) => {
    const response = await service.fetch(request("/metrics", { headers }), info);
    await response.body?.cancel();
    return response.status;
  };
  const away = from("192.0.2.1");
  equal(await status(bearer(METRICS_TOKEN), away), 200);
  equal(await status({ ...bearer(METRICS_TOKEN), Forwarded: "for=192.0.2.1" }, HERE), 200);
  for (const info of [HERE, away]) {
    equal(await status({}, info), 401);
    equal(await status(bearer(PUBLISH_TOKEN), info), 401);
    equal(await status(bearer(`${METRICS_TOKEN}s`), info), 401);
  }
  // It opens nothing else.
  const published = await service.fetch(jsonPost("/ingest", EVENT, bearer(METRICS_TOKEN)), away);
  equal(published.status, 401);
});

Deno.test("GET /metrics limits the invalid tokens of an address", async () => {
  const settings = { RUNNEL_METRICS_TOKEN: METRICS_TOKEN, RUNNEL_PUBLISH_RATE: "2" };
  await using service = await startService({ settings });
  const statuses = [];
  for (let i = 0; i < 4; i++) {
    const headers = bearer(`a-guess-of-a-token-${i}`);
    statuses.push(
      (await service.fetch(request("/metrics", { headers }), from("192.0.2.1"))).status,
    );
  }
  deepEqual(statuses.slice(0, 2), [401, 401]);
  equal(statuses.at(-1), 429);
});

Deno.test("GET /metrics counts publishes by their outcomes, and what they stored", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  const post = async (body: unknown, headers = {}) =>
    (await service.fetch(jsonPost("/ingest", body, headers))).status;
  const key = { "Idempotency-Key": "k" };
  deepEqual(
    [
      await post([EVENT, { ...EVENT, payload: "four" }]),
      await post(EVENT, key),
      await post(EVENT, key),
      await post({ ...EVENT, payload: 2 }, key),
      await post({ ...EVENT, channel: "open" }),
    ],
    [202, 202, 202, 422, 422],
  );
  await service.hub.stopPublishing(0);
  equal(await post(EVENT), 503);
  const samples = await scrape(service);
  deepEqual(nonZero(samples, "runnel_publishes_total"), {
    'runnel_publishes_total{outcome="stored"}': 2,
    'runnel_publishes_total{outcome="duplicate"}': 1,
    'runnel_publishes_total{outcome="rejected"}': 2,
    'runnel_publishes_total{outcome="unavailable"}': 1,
  });
  deepEqual(nonZero(samples, "runnel_refusals_total"), {
    'runnel_refusals_total{reason="key-reused"}': 1,
    'runnel_refusals_total{reason="invalid-event"}': 1,
    'runnel_refusals_total{reason="draining"}': 1,
  });
  equal(samples.get("runnel_events_total"), 3);
  equal(samples.get("runnel_payload_bytes_total"), '1"four"1'.length);
  equal(samples.get("runnel_publish_duration_seconds_count"), 3);
  equal(samples.get("runnel_commit_requests_count"), 2);
});

Deno.test("GET /metrics counts a publish beyond a limit of its client as rejected", async () => {
  await using service = await startService({ settings: { RUNNEL_MAX_IDEMPOTENCY_KEYS: "1" } });
  const publish = async (key: string) =>
    (await service.fetch(jsonPost("/ingest", EVENT, { "Idempotency-Key": key }))).status;
  deepEqual([await publish("a"), await publish("b")], [202, 429]);
  deepEqual(nonZero(await scrape(service), "runnel_publishes_total"), {
    'runnel_publishes_total{outcome="stored"}': 1,
    'runnel_publishes_total{outcome="rejected"}': 1,
  });
});

Deno.test("GET /metrics tells for how long the store fails", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  const outage = async () => (await scrape(service)).get("runnel_store_outage_seconds");
  const ready = async () => {
    const response = await service.fetch(request("/readyz"));
    await response.body?.cancel();
    return response.status;
  };
  equal(await outage(), 0);
  kv.script("commit", fail());
  equal(await ready(), 503);
  service.clock.advance(7000);
  equal(await outage(), 7);
  equal(await ready(), 200);
  equal(await outage(), 0);
});

Deno.test("GET /metrics counts refusals of every kind", async () => {
  await using service = await startService();
  await service.fetch(request("/nothing"));
  await service.fetch(request("/ingest", { method: "PUT" }));
  await service.fetch(request("/pipelines/p_a/sse?history=x"));
  service.kv.script("get", fail());
  // An EventSource gets a stream that ends.
  const headers = { Accept: "text/event-stream" };
  const refused = await service.fetch(request("/pipelines/p_a/sse", { headers }));
  match(await refused.text(), /^retry: \d+\n$/);
  deepEqual(nonZero(await scrape(service), "runnel_refusals_total"), {
    'runnel_refusals_total{reason="malformed-request"}': 1,
    'runnel_refusals_total{reason="not-found"}': 1,
    'runnel_refusals_total{reason="method-not-allowed"}': 1,
    'runnel_refusals_total{reason="log-unavailable"}': 1,
  });
});

Deno.test("GET /metrics tells how long a publish takes, and what waits meanwhile", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  const held = pause("call");
  kv.script("commit", held.fault);
  const publishing = service.publish("p_a", "events", 1);
  await held.reached;
  const during = await scrape(service);
  equal(during.get("runnel_publishes_in_flight"), 1);
  equal(during.get("runnel_waiting_size_bytes")! > 512, true);
  service.clock.advance(40);
  held.release();
  await publishing;
  const after = await scrape(service);
  equal(after.get("runnel_publishes_in_flight"), 0);
  equal(after.get("runnel_waiting_size_bytes"), 0);
  equal(after.get("runnel_publish_duration_seconds_sum"), 0.04);
  equal(after.get('runnel_publish_duration_seconds_bucket{le="0.025"}'), 0);
  equal(after.get('runnel_publish_duration_seconds_bucket{le="0.05"}'), 1);
});

Deno.test("GET /metrics answers during a drain, and tells how long that takes", async () => {
  await using service = await startService();
  equal((await scrape(service)).get("runnel_drain_duration_seconds"), 0);
  await service.hub.stopPublishing(0);
  service.clock.advance(1500);
  equal((await scrape(service)).get("runnel_drain_duration_seconds"), 1.5);
});

const IDENTITY = { pipeline: "p_runnel-canary", token: "a-token-of-the-canary" };

for (const [name, settings] of secrets) {
  Deno.test(`The canary ${name} may use its pipeline, and counts nowhere`, async () => {
    await using service = await startService({
      settings: {
        ...settings,
        RUNNEL_SUBSCRIBE: "RUNNEL_PUBLISH_TOKENS" in settings ? "token" : "",
      },
      canary: IDENTITY,
    });
    const before = await scrape(service);
    const headers = bearer(IDENTITY.token);
    const stream = await service.subscribe(`${IDENTITY.pipeline}/sse`, headers);
    await stream.until("runnel.live");
    const event = { ...EVENT, pipeline: IDENTITY.pipeline };
    const published = await service.fetch(jsonPost("/ingest", event, headers));
    equal(published.status, 202);
    await stream.event();
    const samples = await scrape(service);
    // That it takes a place is no secret: it takes one.
    equal(samples.get("runnel_subscriber_places"), 1);
    const changed = [...samples].filter(([name, value]) => before.get(name) !== value);
    deepEqual(changed.map(([name]) => name), ["runnel_subscriber_places"]);
    await stream.cancel();
    if (name === "without secrets") return;
    const others = await service.fetch(jsonPost("/ingest", EVENT, headers));
    equal(others.status, 403);
  });
}

Deno.test("The pipeline of the canary takes events of no other publisher", async () => {
  await using service = await startService({ canary: IDENTITY });
  const { pipeline } = IDENTITY;
  const path = `/ingest/${pipeline}/events`;
  for (
    const refused of [
      jsonPost("/ingest", { ...EVENT, pipeline }),
      jsonPost(
        "/ingest",
        { ...EVENT, pipeline: `${pipeline}-2` },
        bearer("another-token-of-anybody"),
      ),
      request(path, { method: "POST", body: "x" }),
    ]
  ) {
    const response = await service.fetch(refused);
    equal(response.status, 403);
    match((await response.json()).detail, /reserved/);
  }
});
