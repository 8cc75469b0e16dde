import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { formatEventId } from "../../lib/protocol/event.ts";
import { Tickets, type TicketUse } from "../../lib/access/tickets.ts";
import { driven } from "../support/driven.ts";
import { settled } from "../support/fake_clock.ts";
import { FaultyKv, holds, passes, standsAndRefuses, throws } from "../support/faulty_kv.ts";
import { event } from "../support/hub.ts";
import { assertIdle } from "../support/idle.ts";
import { StreamReader } from "../support/stream_reader.ts";
import { createTestLog, type TestLog, textEvent } from "../support/test_log.ts";
import {
  createTestService,
  jsonPost,
  type TestService,
  type TestServiceOptions,
} from "../support/test_service.ts";
import { bearing, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/tokens.ts";
import { createTwoHubs } from "../support/two_hubs.ts";

const TICKET_MS = 300_000;
const SESSION_MS = 3_600_000;
const CHECK_MS = 15_000;
const REPEAT_MS = 10_000;
const HISTORY = 2;

const REFUSED = {
  type: "forbidden",
  message: "Cannot subscribe: the ticket is invalid, used or expired. Request a new one",
};

const SCOPE = { pipeline: "p_a", channels: [], endsAt: Infinity };

const FIRST: TicketUse = {
  pipeline: "p_a",
  channels: [],
  lastEventId: undefined,
  lastEventIdInUrl: undefined,
};

function by(lastEventId: string): TicketUse {
  return { ...FIRST, lastEventId };
}

interface TestTickets extends AsyncDisposable {
  tickets: Tickets;
  test: TestLog;
  reports: string[];
}

async function createTickets(): Promise<TestTickets> {
  const test = await createTestLog();
  const reports: string[] = [];
  const tickets = new Tickets({
    log: test.log,
    runtime: { clock: test.clock, report: (message) => reports.push(message) },
    ticketMs: TICKET_MS,
    sessionMs: SESSION_MS,
    history: HISTORY,
    checkMs: CHECK_MS,
  });
  return {
    tickets,
    test,
    reports,
    async [Symbol.asyncDispose]() {
      tickets[Symbol.dispose]();
      await test.log.close();
    },
  };
}

/** The IDs of some sequences of the test's pipeline. */
async function idsOf({ log }: TestLog): Promise<(sequence: number) => string> {
  const { epoch } = await log.open("p_a");
  return (sequence) => formatEventId({ epoch, sequence });
}

/** Makes events, as many as the history has and one more. */
async function fill({ log }: TestLog): Promise<void> {
  for (let i = 0; i <= HISTORY; i++) await log.append("p_a", [textEvent(`${i}`)]);
}

// -------------------------------------------------------------------- spending

Deno.test("Tickets.redeem() spends a ticket once: who comes later has to show where it was", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret, redeemBy } = await tickets.issue(SCOPE);
  equal(redeemBy, test.clock.now() + TICKET_MS);
  const session = await tickets.redeem(secret, FIRST);
  equal(session.endsAt, test.clock.now() + SESSION_MS);
  test.clock.advance(REPEAT_MS);
  await rejects(tickets.redeem(secret, FIRST), REFUSED);
  equal(session.superseded.aborted, false);
  session.close();
});

Deno.test("Tickets.redeem() takes a repeat of the first use for ten seconds", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const first = await tickets.redeem(secret, FIRST);
  test.clock.advance(REPEAT_MS - 1);
  const second = await tickets.redeem(secret, FIRST);
  deepEqual([first.superseded.aborted, second.superseded.aborted], [true, false]);
  equal(second.endsAt, first.endsAt);
  test.clock.advance(1);
  // Counted from the first use, not from the last.
  await rejects(tickets.redeem(secret, FIRST), REFUSED);
});

Deno.test("Tickets.redeem() opens one session, however many come at once", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const sessions = await test.drive(
    Promise.all(Array.from({ length: 20 }, () => tickets.redeem(secret, FIRST))),
  );
  equal(sessions.filter(({ superseded }) => !superseded.aborted).length, 1);
  equal(tickets.size, 1);
  for (const { close } of sessions) close();
  deepEqual([tickets.size, test.clock.liveTimers], [0, 0]);
});

Deno.test("Tickets.redeem() takes a ticket until its time is up, and not beyond", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const [late, inTime] = [await tickets.issue(SCOPE), await tickets.issue(SCOPE)];
  test.clock.advance(TICKET_MS - 1);
  await tickets.redeem(inTime.secret, FIRST);
  test.clock.advance(1);
  await rejects(tickets.redeem(late.secret, FIRST), REFUSED);
});

Deno.test("Tickets.redeem() ends ticket and session with the token that they came from", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const endsAt = test.clock.now() + 1000;
  const [spent, late] = [
    await tickets.issue({ ...SCOPE, endsAt }),
    await tickets.issue({ ...SCOPE, endsAt }),
  ];
  equal(late.redeemBy, endsAt);
  equal((await tickets.redeem(spent.secret, FIRST)).endsAt, endsAt);
  test.clock.advance(1000);
  await rejects(tickets.redeem(late.secret, FIRST), REFUSED);
  await rejects(tickets.redeem(spent.secret, FIRST), REFUSED);
  await rejects(tickets.redeem(spent.secret, by((await idsOf(test))(0))), REFUSED);
});

Deno.test("Tickets.redeem() refuses what is no ticket, and one of another pipeline, which stays unspent", async () => {
  await using made = await createTickets();
  const { tickets } = made;
  const { secret } = await tickets.issue(SCOPE);
  for (const wrong of ["", "x", secret.slice(1), `${secret}=`, secret.toLowerCase() + "a"]) {
    await rejects(tickets.redeem(wrong, FIRST), REFUSED);
  }
  await rejects(tickets.redeem(secret, { ...FIRST, pipeline: "p_b" }), REFUSED);
  equal(tickets.size, 0);
  await tickets.redeem(secret, FIRST);
});

Deno.test("Tickets.redeem() gives the channels of the ticket, or fewer, and spends none for more", async () => {
  await using made = await createTickets();
  const { tickets } = made;
  const issue = () => tickets.issue({ ...SCOPE, channels: ["a", "b"] });
  const { secret } = await issue();
  for (const channels of [["c"], ["a", "c"]]) {
    await rejects(tickets.redeem(secret, { ...FIRST, channels }), {
      type: "forbidden",
      message: "Cannot subscribe to all of these channels: the ticket does not grant that. " +
        "Request a ticket that does",
    });
  }
  deepEqual((await tickets.redeem(secret, { ...FIRST, channels: ["b"] })).channels, ["b"]);
  // What a stream asked for does not become what the ticket is for.
  deepEqual((await tickets.redeem(secret, FIRST)).channels, ["a", "b"]);
});

Deno.test("Tickets.redeem() knows its own commit where the store says that a check failed", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await test.log.open("p_a");
  test.kv.script("commit", standsAndRefuses);
  const { superseded } = await tickets.redeem(secret, FIRST);
  equal(superseded.aborted, false);
});

// ----------------------------------------------------------------- coming back

Deno.test("Tickets.redeem() takes who shows an ID of the session back, and ends the older stream", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  let older = await tickets.redeem(secret, FIRST);
  test.clock.advance(SESSION_MS - 1);
  // From before the first event that it could be sent to the newest that there is.
  for (const sequence of [1, 2, 3]) {
    const next = await tickets.redeem(secret, by(id(sequence)));
    equal(older.superseded.aborted, true, `${sequence}`);
    equal(next.endsAt, older.endsAt);
    older = next;
  }
  test.clock.advance(1);
  await rejects(tickets.redeem(secret, by(id(3))), REFUSED);
});

Deno.test("Tickets.redeem() refuses who shows an ID that is none of the session", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  const session = await tickets.redeem(secret, FIRST);
  const { epoch } = await test.log.open("p_b");
  const wrong = {
    "from before the session": id(0),
    "ahead of the log": id(4),
    "of another epoch": formatEventId({ epoch, sequence: 2 }),
    "of no form": "2",
    "two of them": `${id(2)}, ${id(2)}`,
  };
  // Not even as a repeat of the first use, soon after it.
  for (const [what, lastEventId] of Object.entries(wrong)) {
    await rejects(tickets.redeem(secret, by(lastEventId)), REFUSED, what);
  }
  test.clock.advance(REPEAT_MS);
  const inUrl = { ...FIRST, lastEventIdInUrl: id(2) };
  await rejects(tickets.redeem(secret, inUrl), REFUSED, "in the URL, as a stranger has it");
  equal(session.superseded.aborted, false);
});

Deno.test("Tickets.redeem() begins a session where its stream resumes", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  for (const where of ["lastEventId", "lastEventIdInUrl"] as const) {
    const { secret } = await tickets.issue(SCOPE);
    await tickets.redeem(secret, { ...FIRST, [where]: id(0) });
    // It broke in the middle of what it had missed.
    await tickets.redeem(secret, by(id(0)));
  }
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, by(formatEventId({ epoch: "AAECAwQFBgc", sequence: 0 })));
  await rejects(tickets.redeem(secret, by(id(0))), REFUSED);
});

// -------------------------------------------------------------------- elsewhere

Deno.test("Tickets end a stream whose session was taken over elsewhere, when they check", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const elsewhere = new Tickets({
    log: test.log,
    runtime: { clock: test.clock, report() {} },
    ticketMs: TICKET_MS,
    sessionMs: SESSION_MS,
    history: HISTORY,
    checkMs: CHECK_MS,
  });
  const { secret } = await tickets.issue(SCOPE);
  const older = await tickets.redeem(secret, FIRST);
  const newer = await elsewhere.redeem(secret, FIRST);
  test.clock.advance(CHECK_MS - 1);
  await settled();
  equal(older.superseded.aborted, false);
  test.clock.advance(1);
  await settled();
  deepEqual([older.superseded.aborted, newer.superseded.aborted], [true, false]);
  for (const { close } of [older, newer]) close();
  equal(test.clock.liveTimers, 0);
});

Deno.test("Tickets leave a stream that takes the session over here while they check", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const older = await tickets.redeem(secret, FIRST);
  const reading = holds("answer");
  test.kv.script("getMany", reading.fault);
  test.clock.advance(CHECK_MS);
  await reading.met;
  const newer = await tickets.redeem(secret, by((await idsOf(test))(0)));
  reading.release();
  await settled();
  deepEqual([older.superseded.aborted, newer.superseded.aborted], [true, false]);
});

Deno.test("Tickets end a stream whose ticket the store has no more", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const session = await tickets.redeem(secret, FIRST);
  for await (const { key } of test.kv.list({ prefix: ["ticket"] })) {
    await test.kv.atomic().delete(key).commit();
  }
  test.clock.advance(CHECK_MS);
  await settled();
  equal(session.superseded.aborted, true);
});

Deno.test("Tickets keep streams while the store does not answer, and tell the operator", async () => {
  await using made = await createTickets();
  const { tickets, test, reports } = made;
  const { secret } = await tickets.issue(SCOPE);
  const session = await tickets.redeem(secret, FIRST);
  test.kv.script("getMany", throws());
  test.clock.advance(CHECK_MS);
  await settled();
  equal(session.superseded.aborted, false);
  deepEqual(reports, ["Cannot check the sessions of tickets"]);
});

Deno.test("Tickets leave nothing in the store that opens anything", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, FIRST);
  for await (const entry of test.kv.list({ prefix: [] })) {
    ok(!Deno.inspect(entry, { depth: Infinity, strAbbreviateSize: Infinity }).includes(secret));
  }
  const hashes: string[] = [];
  for await (const { key } of test.kv.list({ prefix: ["ticket"] })) hashes.push(String(key[1]));
  equal(hashes.length, 1);
  await rejects(tickets.redeem(hashes[0]!, FIRST), REFUSED);
});

// --------------------------------------------------------------------- streams

function createTokenService(options: TestServiceOptions = {}): Promise<TestService> {
  return createTestService({ ...options, settings: { ...TOKEN_SETTINGS, ...options.settings } });
}

/** Gets a ticket's URL. */
async function ticketUrl(
  { fetch }: TestService,
  { token = PUBLISH_TOKEN, body, pipeline = "p_a" }: {
    token?: string;
    body?: unknown;
    pipeline?: string;
  } = {},
): Promise<string> {
  const response = await fetch(jsonPost(`/pipelines/${pipeline}/tickets`, body, bearing(token)));
  equal(response.status, 201, await response.clone().text());
  return (await response.json()).url;
}

async function statusOf({ fetch }: TestService, url: string, headers: HeadersInit = {}) {
  const response = await fetch(new Request(url, { headers }));
  if (response.status !== 200) await response.body?.cancel();
  return response;
}

async function open(service: TestService, url: string, headers: HeadersInit = {}) {
  const response = await statusOf(service, url, headers);
  equal(response.status, 200);
  return new StreamReader(response);
}

Deno.test("a ticket's URL opens a stream, comes back by its header, and nobody else by it", async () => {
  await using service = await createTokenService();
  await service.hub.publish("p_a", [event(1)]);
  const url = await ticketUrl(service);
  const first = await open(service, url);
  const id = (await first.until("runnel.live")).at(-1)!.id!;
  await service.hub.publish("p_a", [event(2)]);
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
  await service.hub.publish("p_a", [event(1)]);
  equal((await stream.event())?.data, "1");
  service.clock.advance(1);
  equal(await stream.event(), null);
  await assertIdle(service);
});

Deno.test("a ticket's stream ends with the token that the ticket came from", async () => {
  await using service = await createTokenService();
  const token = await mint({ publish: ["p_a"] }, service.clock.now() + 2000);
  const stream = await open(service, await ticketUrl(service, { token }));
  await stream.until("runnel.live");
  service.clock.advance(2000);
  equal(await stream.event(), null);
  await assertIdle(service);
});

Deno.test("a ticket of a service with long streams and short ones lives by the shorter", async () => {
  await using service = await createTokenService({
    settings: { RUNNEL_MAX_STREAM_AGE_MS: "1000" },
  });
  const stream = await open(service, await ticketUrl(service));
  await stream.until("runnel.live");
  service.clock.advance(20_000);
  equal(await stream.event(), null);
  await assertIdle(service);
});

Deno.test("HEAD spends no ticket", async () => {
  await using service = await createTokenService();
  const url = await ticketUrl(service);
  equal((await service.fetch(new Request(url, { method: "HEAD" }))).status, 401);
  service.clock.advance(REPEAT_MS);
  await (await open(service, url)).cancel();
});

Deno.test("a ticket that comes in vain stays unspent", async () => {
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

Deno.test("a ticket with more pipelines than there is room for stays unspent", async () => {
  await using service = await createTokenService({ settings: { RUNNEL_MAX_PIPELINES: "1" } });
  const url = await ticketUrl(service);
  const token = await mint({ subscribe: ["p_b"] });
  const other = await service.subscribe("p_b/sse", bearing(token));
  equal((await statusOf(service, url)).status, 503);
  await other.cancel();
  await settled();
  service.clock.advance(REPEAT_MS);
  await (await open(service, url)).cancel();
});

Deno.test("a session that cannot have its stream is not held", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await createTokenService({ open: () => Promise.resolve(kv) });
  const url = await ticketUrl(service);
  await service.log.open("p_a");
  // The ticket is read and its session opened; then the stream's own read fails.
  kv.script("get", passes, passes, throws());
  const response = await statusOf(service, url);
  equal(response.status, 503);
  await assertIdle(service);
});

Deno.test("a ticket shows the channels that it is for, and no others", async () => {
  await using service = await createTokenService();
  const publish = async () => {
    for (const channel of ["a", "b", "c"]) {
      await service.hub.publish("p_a", [{ ...event(channel), channel }]);
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

Deno.test("a ticket's URL can be opened, however many channels its token names", async () => {
  await using service = await createTokenService();
  const channels = Array.from({ length: 30 }, (_, index) => `c${index}`);
  const token = await mint({ subscribe: ["p_a"], channels: [...channels, "error"] });
  const url = await ticketUrl(service, { token });
  await service.hub.publish("p_a", [{ ...event(1), channel: "c29" }]);
  await service.hub.publish("p_a", [{ ...event(2), channel: "x" }]);
  const stream = await open(service, url);
  const shown = (await stream.until("runnel.live")).map(({ type }) => type);
  deepEqual(shown, ["c29", "runnel.live"]);
  await stream.cancel();
});

Deno.test("a ticket's session is taken over in another process within its check, and both end clean", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_HISTORY: "0" };
  await using both = await createTwoHubs(null, settings);
  const { clock, here: { service: here }, there: { service: there } } = both;
  await driven(clock, here.hub.publish("p_a", [event(0)]));
  // There it does not hear what is published here from now on.
  const listener = await there.subscribe(
    "p_a/sse",
    bearing(await mint({ subscribe: ["p_a"] })),
  );
  await listener.until("runnel.live");
  await driven(clock, here.hub.publish("p_a", [event(1), event(2)]));
  const url = await ticketUrl(here);
  const first = await open(there, url);
  const id = (await first.until("runnel.live")).at(-1)!.id!;
  // Else it could not come back: what is before that is from before its session.
  equal(id.slice(11), "-3");
  clock.advance(REPEAT_MS);
  const second = await open(here, url, { "Last-Event-ID": id });
  await second.until("runnel.live");
  // No further than the check, whose reads have their time by this clock, too.
  clock.advance(CHECK_MS - REPEAT_MS);
  equal(await first.event(), null);
  await driven(clock, here.hub.publish("p_a", [event(3)]));
  equal((await second.event())?.data, "3");
  await second.cancel();
  await listener.cancel();
  for (const service of [here, there]) await assertIdle(service);
});

Deno.test("nothing that is reported names a ticket or a token", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await createTokenService({ open: () => Promise.resolve(kv) });
  const url = await ticketUrl(service);
  kv.fallback = () => throws();
  const secret = new URL(url).searchParams.get("ticket")!;
  const said = [];
  for (const headers of [{}, { Accept: "text/event-stream" }, bearing(await mint({}))]) {
    const response = await service.fetch(new Request(url, { headers }));
    said.push(await response.text(), Deno.inspect([...response.headers]));
  }
  ok(service.reports.length > 0);
  for (const text of [...said, ...service.reports]) {
    ok(!text.includes(secret), text);
    ok(!text.includes("eyJ"), text);
  }
});
