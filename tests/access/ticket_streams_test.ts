import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { jsonEvent } from "../support/events.ts";
import { fail, FaultyKv, passThrough } from "../support/fakes/kv.ts";
import {
  assertIdle,
  jsonPost,
  startService,
  type StartServiceOptions,
  type TestService,
} from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { advanceUntil, flush } from "../support/wait.ts";

const CHECK_MS = 15_000;
const REPEAT_MS = 10_000;

function createTokenService(options: StartServiceOptions = {}): Promise<TestService> {
  return startService({ ...options, settings: { ...TOKEN_SETTINGS, ...options.settings } });
}

/** Requests a ticket and returns its URL. */
async function ticketUrl(
  { fetch }: TestService,
  { token = PUBLISH_TOKEN, body, pipeline = "p_a" }: {
    token?: string;
    body?: unknown;
    pipeline?: string;
  } = {},
): Promise<string> {
  const response = await fetch(
    jsonPost(`/pipelines/${pipeline}/tickets`, body, bearerHeader(token)),
  );
  equal(response.status, 201, await response.clone().text());
  return (await response.json()).url;
}

async function statusOf({ fetch }: TestService, url: string, headers: HeadersInit = {}) {
  const response = await fetch(new Request(url, { headers }));
  if (response.status !== 200) await response.body?.cancel();
  return response;
}

/** Asserts that a stream ends, and tells its client the reason last. */
async function assertExpired(stream: StreamReader, reason: string): Promise<void> {
  const { type, data, id } = (await stream.event())!;
  deepEqual([type, JSON.parse(data), id], ["runnel.expired", { reason }, undefined]);
  equal(await stream.event(), null);
}

async function open(service: TestService, url: string, headers: HeadersInit = {}) {
  const response = await statusOf(service, url, headers);
  equal(response.status, 200);
  return new StreamReader(response);
}

Deno.test("a ticket's URL opens a stream once, and again by its Last-Event-ID header", async () => {
  await using service = await createTokenService();
  await service.hub.publish("p_a", [jsonEvent(1)]);
  const url = await ticketUrl(service);
  const first = await open(service, url);
  const id = (await first.until("runnel.live")).at(-1)!.id!;
  await service.hub.publish("p_a", [jsonEvent(2)]);
  service.clock.advance(REPEAT_MS);

  for (const [how, copied] of [["as it is", url], ["with an ID", `${url}&lastEventId=${id}`]]) {
    equal((await statusOf(service, copied!)).status, 403, how);
  }
  const second = await open(service, url, { "Last-Event-ID": id });
  const events = await first.until("no such event");
  deepEqual(
    events.map(({ data }) => data),
    ["2"],
    "the older one ends, at once, with its last event",
  );
  equal((await second.event())?.data, "2");
  await second.cancel();
  await assertIdle(service);
});

Deno.test("a ticket's stream ends at the end of its session, to the millisecond", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_SESSION_MS: "4321" } });
  const stream = await open(service, await ticketUrl(service));
  await stream.until("runnel.live");
  service.clock.advance(4320);
  await service.hub.publish("p_a", [jsonEvent(1)]);
  equal((await stream.event())?.data, "1");
  service.clock.advance(1);
  await assertExpired(stream, "expired");
  await assertIdle(service);
});

Deno.test("a ticket's stream ends with the token of its issuer", async () => {
  await using service = await createTokenService();
  const token = await mint({ subscribe: ["p_a"] }, service.clock.now() + 2000);
  const stream = await open(service, await ticketUrl(service, { token }));
  await stream.until("runnel.live");
  service.clock.advance(2000);
  await assertExpired(stream, "expired");
  await assertIdle(service);
});

Deno.test("a ticket's stream ends at the maximum stream age if that is shorter", async () => {
  await using service = await createTokenService({
    settings: { RUNNEL_MAX_STREAM_AGE_MS: "1000" },
  });
  const stream = await open(service, await ticketUrl(service));
  await stream.until("runnel.live");
  service.clock.advance(20_000);
  equal(await stream.event(), null);
  await assertIdle(service);
});

Deno.test("HEAD does not spend a ticket", async () => {
  await using service = await createTokenService();
  const url = await ticketUrl(service);
  equal((await service.fetch(new Request(url, { method: "HEAD" }))).status, 401);
  service.clock.advance(REPEAT_MS);
  await (await open(service, url)).cancel();
});

Deno.test("a ticket stays unspent when the instance is full", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_MAX_SUBSCRIBERS: "1" } });
  const url = await ticketUrl(service);
  const other = await open(service, await ticketUrl(service));
  const eventSource = { Accept: "text/event-stream" };
  const stream = await open(service, url, eventSource);
  equal(await stream.event(), null, "a stream that says to come back");
  ok(stream.text.startsWith("retry: "));
  await other.cancel();
  service.clock.advance(REPEAT_MS);
  await (await open(service, url, eventSource)).cancel();
  await assertIdle(service);
});

Deno.test("a ticket stays unspent when there are too many pipelines", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_MAX_PIPELINES: "1" } });
  const url = await ticketUrl(service);
  const token = await mint({ subscribe: ["p_b"] });
  const other = await service.subscribe("p_b/sse", bearerHeader(token));
  equal((await statusOf(service, url)).status, 503);
  await other.cancel();
  await flush();
  service.clock.advance(REPEAT_MS);
  await (await open(service, url)).cancel();
});

Deno.test("a session is released when its stream cannot be opened", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await createTokenService({ open: () => Promise.resolve(kv) });
  const url = await ticketUrl(service);
  await service.log.ensureHead("p_a");
  // The ticket is redeemed; then the read of the stream itself fails.
  kv.script("get", passThrough, passThrough, fail());
  const response = await statusOf(service, url);
  equal(response.status, 503);
  await assertIdle(service);
});

Deno.test("a ticket's stream has the channels of the ticket, and no others", async () => {
  await using service = await createTokenService();
  const publish = async () => {
    for (const channel of ["a", "b", "c"]) {
      await service.hub.publish("p_a", [{ ...jsonEvent(channel), channel }]);
    }
  };
  await publish();
  const url = await ticketUrl(service, { body: { channels: ["a", "b"] } });
  const { searchParams } = new URL(url);
  deepEqual(searchParams.getAll("channel"), ["a", "b"]);
  const ticket = searchParams.get("ticket");
  const bare = `http://localhost/pipelines/p_a/sse?ticket=${ticket}`;
  equal((await statusOf(service, `${bare}&channel=c`)).status, 403);
  const stream = await open(service, bare);
  const shown = (await stream.until("runnel.live")).map(({ type }) => type);
  deepEqual(shown, ["a", "b", "runnel.live"]);
  await publish();
  deepEqual((await stream.events(2)).map(({ type }) => type), ["a", "b"]);
  await stream.cancel();
});

Deno.test("a ticket's URL works, however many channels its token names", async () => {
  await using service = await createTokenService();
  const channels = Array.from({ length: 30 }, (_, index) => `c${index}`);
  const token = await mint({ subscribe: ["p_a"], channels: [...channels, "error"] });
  const url = await ticketUrl(service, { token });
  await service.hub.publish("p_a", [{ ...jsonEvent(1), channel: "c29" }]);
  await service.hub.publish("p_a", [{ ...jsonEvent(2), channel: "x" }]);
  const stream = await open(service, url);
  const shown = (await stream.until("runnel.live")).map(({ type }) => type);
  deepEqual(shown, ["c29", "runnel.live"]);
  await stream.cancel();
});

Deno.test("a ticket's session is taken over in another process by its next check", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_HISTORY: "0" };
  await using both = await startTwoInstances({ settings });
  const { clock, here: { service: here }, there: { service: there } } = both;
  await advanceUntil(clock, here.hub.publish("p_a", [jsonEvent(0)]));
  // From here on, events of the other process do not reach it.
  const listener = await there.subscribe(
    "p_a/sse",
    bearerHeader(await mint({ subscribe: ["p_a"] })),
  );
  await listener.until("runnel.live");
  await advanceUntil(clock, here.hub.publish("p_a", [jsonEvent(1), jsonEvent(2)]));
  const url = await ticketUrl(here);
  const first = await open(there, url);
  const id = (await first.until("runnel.live")).at(-1)!.id!;
  // Otherwise it could not reconnect: earlier positions precede its session.
  equal(id.slice(11), "-3");
  clock.advance(REPEAT_MS);
  const second = await open(here, url, { "Last-Event-ID": id });
  await second.until("runnel.live");
  // Not beyond the check, whose reads have deadlines by the same clock.
  clock.advance(CHECK_MS - REPEAT_MS);
  equal(await first.event(), null);
  await advanceUntil(clock, here.hub.publish("p_a", [jsonEvent(3)]));
  equal((await second.event())?.data, "3");
  await second.cancel();
  await listener.cancel();
  for (const service of [here, there]) await assertIdle(service);
});

Deno.test("reports and responses contain no ticket and no token", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await createTokenService({ open: () => Promise.resolve(kv) });
  const url = await ticketUrl(service);
  kv.fallback = () => fail();
  const secret = new URL(url).searchParams.get("ticket")!;
  const said = [];
  for (const headers of [{}, { Accept: "text/event-stream" }, bearerHeader(await mint({}))]) {
    const response = await service.fetch(new Request(url, { headers }));
    said.push(await response.text(), Deno.inspect([...response.headers]));
  }
  ok(service.reports.length > 0);
  for (const text of [...said, ...service.reports]) {
    ok(!text.includes(secret), text);
    ok(!text.includes("eyJ"), text);
  }
});
