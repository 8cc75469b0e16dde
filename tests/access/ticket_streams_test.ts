import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { StreamReader } from "../support/clients/stream_reader.ts";
import {
  bearerHeader,
  mint,
  PUBLISH_TOKEN,
  SECRET,
  TOKEN_SETTINGS,
} from "../support/clients/tokens.ts";
import {
  describeEvent,
  jsonEvent,
  liveMarker,
  numbers,
  UNKNOWN_GAP,
  UNKNOWN_ID,
} from "../support/events.ts";
import { fail, FaultyKv, passThrough } from "../support/fakes/kv.ts";
import { memoryStore } from "../support/log.ts";
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

async function statusOf(
  { fetch }: TestService,
  url: string,
  headers: HeadersInit = {},
  method = "GET",
) {
  const response = await fetch(new Request(url, { method, headers }));
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

  equal((await statusOf(service, url)).status, 403);
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

Deno.test("a ticket's URL resumes where its request said, and opens nothing later", async () => {
  await using service = await createTokenService();
  const { epoch } = await service.hub.publish("p_a", numbers(1, 5).map(jsonEvent));
  const url = await ticketUrl(service, { body: { lastEventId: `${epoch}-3` } });
  ok(!url.includes(epoch), "whoever finds it learns nothing of the position");
  const first = await open(service, url);
  deepEqual((await first.until("runnel.live")).map(describeEvent), [4, 5, liveMarker(2)]);
  service.clock.advance(REPEAT_MS);
  equal((await statusOf(service, url)).status, 403);
  await (await open(service, url, { "Last-Event-ID": `${epoch}-4` })).cancel();
});

Deno.test("a ticket's URL is refused with a position in it, and the ticket stays unspent", async () => {
  await using service = await createTokenService();
  const { epoch } = await service.hub.publish("p_a", numbers(1, 5).map(jsonEvent));
  const url = await ticketUrl(service);
  const refusal = await service.fetch(new Request(`${url}&lastEventId=${epoch}-3`));
  equal(refusal.status, 400);
  ok((await refusal.json()).detail.includes('{"lastEventId": …}'));
  service.clock.advance(REPEAT_MS);
  // Nothing in it is a position without one.
  await (await open(service, `${url}&lastEventId=`)).cancel();
  // Where no ticket is needed, or another token is shown, the URL may have one.
  const token = bearerHeader(await mint({ subscribe: ["p_a"] }));
  const stream = await open(service, `${url}&lastEventId=${epoch}-3`, token);
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [4, 5, liveMarker(2)]);
  await stream.cancel();
});

Deno.test("a ticket resumes after a position of another log or form as after a foreign ID", async () => {
  await using service = await createTokenService();
  await service.hub.publish("p_a", [jsonEvent(1)]);
  for (const lastEventId of [UNKNOWN_ID, "7", "x".repeat(128)]) {
    const stream = await open(service, await ticketUrl(service, { body: { lastEventId } }));
    const shown = (await stream.until("runnel.live")).map(describeEvent);
    deepEqual(shown, [UNKNOWN_GAP, 1, liveMarker(1)], lastEventId);
    await stream.cancel();
  }
  const stream = await open(service, await ticketUrl(service, { body: { lastEventId: "" } }));
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [1, liveMarker(1)]);
  await stream.cancel();
});

Deno.test("a ticket's URL resumes where its request said if streams are public, too", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_SUBSCRIBE: "public" } });
  const { epoch } = await service.hub.publish("p_a", numbers(1, 5).map(jsonEvent));
  const stream = await open(
    service,
    await ticketUrl(service, { body: { lastEventId: `${epoch}-3` } }),
  );
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [4, 5, liveMarker(2)]);
  await stream.cancel();
});

Deno.test("a ticket's stream that is cut in its first event has an ID to come back with", async () => {
  await using service = await createTokenService();
  const { epoch } = await service.hub.publish("p_a", numbers(1, 5).map(jsonEvent));
  for (
    const [body, query, sequence] of [
      [undefined, "", 0],
      [undefined, "&history=2", 3],
      [{ lastEventId: `${epoch}-4` }, "", 4],
    ] as const
  ) {
    const url = await ticketUrl(service, { body });
    const response = await statusOf(service, url + query);
    const reader = response.body!.getReader();
    const text = new TextDecoder().decode((await reader.read()).value);
    const [, id] = /^id: (.+)$/m.exec(text)!;
    equal(id, `${epoch}-${sequence}`);
    ok(!text.includes("data:"), "it comes before all else");
    await reader.cancel();
    service.clock.advance(REPEAT_MS);
    const stream = await open(service, url, { "Last-Event-ID": id! });
    const expected = [...numbers(sequence + 1, 5), liveMarker(5 - sequence)];
    deepEqual((await stream.until("runnel.live")).map(describeEvent), expected);
    await stream.cancel();
  }
});

Deno.test("a ticket's session starts where the history of its channels does", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_HISTORY: "2" } });
  const event = (value: number, channel: string) => ({ ...jsonEvent(value), channel });
  const { epoch } = await service.hub.publish("p_a", [
    ...[1, 2, 3].map((value) => event(value, "alerts")),
    ...numbers(4, 400).map((value) => event(value, "ticks")),
  ]);
  const url = await ticketUrl(service, { body: { channels: ["alerts"] } });
  const first = await open(service, url);
  // Cut in the middle of its replay, far behind the newest events of all channels.
  equal((await first.event())?.id, `${epoch}-2`);
  await first.cancel();
  service.clock.advance(REPEAT_MS);
  const headers = { "Last-Event-ID": `${epoch}-2` };
  const second = await open(service, url, headers);
  deepEqual((await second.until("runnel.live")).map(describeEvent), [3, liveMarker(1)]);
  await second.cancel();
  equal((await statusOf(service, url, { "Last-Event-ID": `${epoch}-0` })).status, 403);
});

Deno.test("a ticket's session is bound to where its stream began", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_HISTORY: "2" } });
  const { epoch } = await service.hub.publish("p_a", numbers(1, 5).map(jsonEvent));
  const url = await ticketUrl(service);
  // Cut before its first event.
  await (await open(service, `${url}&history=1`)).cancel();
  for (const [sequence, status] of [[3, 403], [4, 200]]) {
    const headers = { "Last-Event-ID": `${epoch}-${sequence}` };
    const response = await statusOf(service, url, headers);
    equal(response.status, status);
    if (status === 200) await response.body!.cancel();
  }
});

Deno.test("a ticket's session survives the deletion of its pipeline, in either log", async () => {
  await using service = await createTokenService();
  await service.hub.publish("p_a", [jsonEvent(1)]);
  const url = await ticketUrl(service);
  const stream = await open(service, url);
  const before = (await stream.until("runnel.live")).at(-1)!.id!;
  const path = "http://localhost/pipelines/p_a";
  const removed = statusOf(service, path, bearerHeader(PUBLISH_TOKEN), "DELETE");
  equal((await advanceUntil(service.clock, removed)).status, 204);
  const after = (await stream.until("runnel.live")).at(-1)!.id!;
  ok(after.slice(0, 11) !== before.slice(0, 11));
  await stream.cancel();
  service.clock.advance(REPEAT_MS);
  // A client that has received nothing of the new log, and one that has.
  for (const [id, expected] of [[before, [UNKNOWN_GAP, liveMarker(0)]], [after, [liveMarker(0)]]]) {
    const headers = { "Last-Event-ID": id as string };
    const again = await open(service, url, headers);
    deepEqual((await again.until("runnel.live")).map(describeEvent), expected);
    await again.cancel();
  }
});

Deno.test("DELETE …/tickets ends all tickets and streams of a pipeline, and tells the reason", async () => {
  await using service = await createTokenService();
  const [url, unspent] = [await ticketUrl(service), await ticketUrl(service)];
  const stream = await open(service, url);
  const other = await open(service, await ticketUrl(service, { pipeline: "p_b" }));
  const id = (await stream.until("runnel.live")).at(-1)!.id!;
  await other.until("runnel.live");
  const revoke = (token: string) =>
    statusOf(service, "http://localhost/pipelines/p_a/tickets", bearerHeader(token), "DELETE");
  for (const claim of [{ subscribe: ["p_a"] }, { publish: ["p_a"], channels: ["a"] }]) {
    equal((await revoke(await mint(claim))).status, 403, "not all channels");
  }
  equal((await revoke("a-token-of-somebody-else")).status, 401);
  await service.hub.publish("p_a", [jsonEvent(1)]);
  equal((await stream.event())?.data, "1");
  equal((await revoke(await mint({ publish: ["p_a"] }))).status, 204);
  await assertExpired(stream, "revoked");
  equal((await statusOf(service, url, { "Last-Event-ID": id })).status, 403);
  equal((await statusOf(service, unspent)).status, 403);
  await service.hub.publish("p_b", [jsonEvent(2)]);
  equal((await other.event())?.data, "2");
  await other.cancel();
  await (await open(service, await ticketUrl(service))).cancel();
  await assertIdle(service);
});

Deno.test("DELETE …/tickets ends streams of another process by its next check", async () => {
  await using both = await startTwoInstances({ settings: TOKEN_SETTINGS });
  const { clock, here: { service: here }, there: { service: there } } = both;
  await here.hub.publish("p_a", [jsonEvent(1)]);
  const stream = await open(there, await ticketUrl(here));
  await stream.until("runnel.live");
  const url = "http://localhost/pipelines/p_a/tickets";
  equal((await statusOf(here, url, bearerHeader(PUBLISH_TOKEN), "DELETE")).status, 204);
  clock.advance(CHECK_MS);
  await assertExpired(stream, "revoked");
});

for (
  const [name, settings] of [
    ["the publish token", { RUNNEL_PUBLISH_TOKENS: "another-token-of-a-publisher" }],
    ["the secret", { RUNNEL_TOKEN_SECRET: SECRET.toUpperCase() }],
  ] as const
) {
  Deno.test(`tickets end when ${name} they were requested with leaves the settings`, async () => {
    await using store = await memoryStore();
    const { open: openStore } = store;
    const urls: string[] = [];
    let id: string;
    {
      await using before = await createTokenService({ open: openStore });
      const token = await mint({ subscribe: ["p_a"] });
      for (const requested of [PUBLISH_TOKEN, token]) {
        urls.push(await ticketUrl(before, { token: requested }));
        urls.push(await ticketUrl(before, { token: requested }));
      }
      await before.hub.publish("p_a", [jsonEvent(1)]);
      for (const index of [0, 2]) {
        const stream = await open(before, urls[index]!);
        id = (await stream.until("runnel.live")).at(-1)!.id!;
        await stream.cancel();
      }
    }
    await using after = await createTokenService({ open: openStore, settings });
    const expected = "RUNNEL_PUBLISH_TOKENS" in settings
      ? [403, 403, 200, 200]
      : [200, 200, 403, 403];
    const statuses = [];
    for (const [index, url] of urls.entries()) {
      const headers = index % 2 === 0 ? { "Last-Event-ID": id! } : {};
      const response = await statusOf(after, url, headers);
      statuses.push(response.status);
      if (response.status === 200) await response.body!.cancel();
    }
    deepEqual(statuses, expected);
  });
}

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
  kv.script("get", passThrough, fail());
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
