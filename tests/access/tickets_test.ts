import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { formatEventId } from "../../lib/protocol/event.ts";
import { type OpenSession, Tickets, type TicketUse } from "../../lib/access/tickets.ts";
import { commitThenFailCheck, fail, pause } from "../support/fakes/kv.ts";
import { createTestLog, type TestLog, textEvent } from "../support/log.ts";
import { flush } from "../support/wait.ts";

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
    store: test.tickets,
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

/** Returns a function that formats event IDs of the test's pipeline. */
async function idsOf({ log }: TestLog): Promise<(sequence: number) => string> {
  const { epoch } = await log.ensureHead("p_a");
  return (sequence) => formatEventId({ epoch, sequence });
}

/** Appends one event more than the history has. */
async function fill({ log }: TestLog): Promise<void> {
  for (let i = 0; i <= HISTORY; i++) await log.append("p_a", [textEvent(`${i}`)]);
}

Deno.test("Tickets.redeem() opens a session once; later uses need an event ID of it", async () => {
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

Deno.test("Tickets.redeem() accepts a repeat of the first use for ten seconds", async () => {
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

Deno.test("Tickets.redeem() opens one session for many concurrent uses", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const sessions = await test.advanceUntil(
    Promise.all(Array.from({ length: 20 }, () => tickets.redeem(secret, FIRST))),
  );
  equal(sessions.filter(({ superseded }) => !superseded.aborted).length, 1);
  equal(tickets.size, 1);
  for (const { close } of sessions) close();
  deepEqual([tickets.size, test.clock.liveTimers], [0, 0]);
});

Deno.test("Tickets.redeem() accepts a ticket until it expires", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const [late, inTime] = [await tickets.issue(SCOPE), await tickets.issue(SCOPE)];
  test.clock.advance(TICKET_MS - 1);
  await tickets.redeem(inTime.secret, FIRST);
  test.clock.advance(1);
  await rejects(tickets.redeem(late.secret, FIRST), REFUSED);
});

Deno.test("Tickets.redeem() ends ticket and session with the token of their issuer", async () => {
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

Deno.test("Tickets.redeem() rejects an invalid secret, and the ticket of another pipeline", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  for (const wrong of ["", "x", secret.slice(1), `${secret}=`, secret.toLowerCase() + "a"]) {
    await rejects(tickets.redeem(wrong, FIRST), REFUSED);
  }
  await rejects(tickets.redeem(secret, { ...FIRST, pipeline: "p_b" }), REFUSED);
  equal(tickets.size, 0);
  // Longer than a first use may be repeated, so that the ticket is unspent.
  test.clock.advance(REPEAT_MS);
  await tickets.redeem(secret, FIRST);
});

Deno.test("Tickets.redeem() grants channels of the ticket, and spends none for others", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const issue = () => tickets.issue({ ...SCOPE, channels: ["a", "b"] });
  const { secret } = await issue();
  for (const channels of [["c"], ["a", "c"]]) {
    await rejects(tickets.redeem(secret, { ...FIRST, channels }), {
      type: "forbidden",
      message: "Cannot subscribe to all of these channels: the ticket does not grant that. " +
        "Request a ticket that does",
    });
  }
  test.clock.advance(REPEAT_MS);
  deepEqual((await tickets.redeem(secret, { ...FIRST, channels: ["b"] })).channels, ["b"]);
  // The channels of one stream do not replace those of the ticket.
  deepEqual((await tickets.redeem(secret, FIRST)).channels, ["a", "b"]);
});

Deno.test("Tickets.redeem() ends the earlier of two uses that race, in either order", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await test.log.ensureHead("p_a");
  const writing = pause("answer");
  test.kv.script("commit", writing.fault);
  const redeeming = tickets.redeem(secret, FIRST);
  await writing.reached;
  const later = await tickets.redeem(secret, FIRST);
  writing.release();
  const earlier = await redeeming;
  deepEqual([earlier.superseded.aborted, later.superseded.aborted], [true, false]);
  earlier.close();
  equal(tickets.size, 1, "the later one is still registered");
  later.close();
  deepEqual([tickets.size, test.clock.liveTimers], [0, 0]);
});

Deno.test("Tickets.redeem() survives a failed check after its own commit", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await test.log.ensureHead("p_a");
  test.kv.script("commit", commitThenFailCheck);
  const { superseded } = await tickets.redeem(secret, FIRST);
  equal(superseded.aborted, false);
});

Deno.test("Tickets.redeem() reopens a session by its event ID, and ends the older stream", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  let older = await tickets.redeem(secret, FIRST);
  test.clock.advance(SESSION_MS - 1);
  // From the position before the first event of the session to the newest event.
  for (const sequence of [1, 2, 3]) {
    const next = await tickets.redeem(secret, by(id(sequence)));
    equal(older.superseded.aborted, true, `${sequence}`);
    equal(next.endsAt, older.endsAt);
    older = next;
  }
  test.clock.advance(1);
  await rejects(tickets.redeem(secret, by(id(3))), REFUSED);
});

Deno.test("Tickets.redeem() rejects an event ID that is not of the session", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  const session = await tickets.redeem(secret, FIRST);
  const { epoch } = await test.log.ensureHead("p_b");
  const wrong = {
    "from before the session": id(0),
    "ahead of the log": id(4),
    "of another epoch": formatEventId({ epoch, sequence: 2 }),
    "of no form": "2",
    "two of them": `${id(2)}, ${id(2)}`,
  };
  // Not even soon after the first use, as a repeat of it.
  for (const [what, lastEventId] of Object.entries(wrong)) {
    await rejects(tickets.redeem(secret, by(lastEventId)), REFUSED, what);
  }
  test.clock.advance(REPEAT_MS);
  const inUrl = { ...FIRST, lastEventIdInUrl: id(2) };
  await rejects(tickets.redeem(secret, inUrl), REFUSED, "in the URL, as a stranger has it");
  equal(session.superseded.aborted, false);
});

Deno.test("Tickets.redeem() rejects an event ID of a pipeline that was created again", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const before = (await idsOf(test))(0);
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, FIRST);
  for await (const { key } of test.kv.list({ prefix: [] })) {
    if (key[0] !== "ticket") await test.kv.atomic().delete(key).commit();
  }
  const again = (await idsOf(test))(0);
  notEqual(again, before);
  await rejects(tickets.redeem(secret, by(again)), REFUSED);
});

Deno.test("Tickets.redeem() starts a session where its stream resumes", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  for (const where of ["lastEventId", "lastEventIdInUrl"] as const) {
    const { secret } = await tickets.issue(SCOPE);
    await tickets.redeem(secret, { ...FIRST, [where]: id(0) });
    // Its connection broke during the replay.
    await tickets.redeem(secret, by(id(0)));
  }
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, by(formatEventId({ epoch: "AAECAwQFBgc", sequence: 0 })));
  await rejects(tickets.redeem(secret, by(id(0))), REFUSED);
});

Deno.test("Tickets.redeem() reopens a session that a repeat started earlier", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, by(id(3)));
  // The repeat has no position, so that its stream starts with the history.
  await tickets.redeem(secret, FIRST);
  await tickets.redeem(secret, by(id(1)));
});

Deno.test("Tickets end a stream at the next check after a takeover elsewhere", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const elsewhere = new Tickets({
    log: test.log,
    store: test.tickets,
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
  await flush();
  equal(older.superseded.aborted, false);
  test.clock.advance(1);
  await flush();
  deepEqual([older.superseded.aborted, newer.superseded.aborted], [true, false]);
  for (const { close } of [older, newer]) close();
  equal(test.clock.liveTimers, 0);
});

Deno.test("Tickets keep a stream that takes the session over during a check", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const older = await tickets.redeem(secret, FIRST);
  const reading = pause("answer");
  test.kv.script("getMany", reading.fault);
  test.clock.advance(CHECK_MS);
  await reading.reached;
  const newer = await tickets.redeem(secret, by((await idsOf(test))(0)));
  reading.release();
  await flush();
  deepEqual([older.superseded.aborted, newer.superseded.aborted], [true, false]);
});

Deno.test("Tickets check all sessions, however many there are", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const sessions: OpenSession[] = [];
  for (let i = 0; i < 1001; i++) {
    sessions.push(await tickets.redeem((await tickets.issue(SCOPE)).secret, FIRST));
  }
  for await (const { key } of test.kv.list({ prefix: ["ticket"] })) {
    await test.kv.atomic().delete(key).commit();
  }
  test.clock.advance(CHECK_MS);
  const areAllEnded = () => sessions.every(({ superseded }) => superseded.aborted);
  for (let turn = 0; turn < 1000 && !areAllEnded(); turn++) await flush();
  ok(areAllEnded());
});

Deno.test("Tickets end a stream whose ticket is no longer stored", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const session = await tickets.redeem(secret, FIRST);
  for await (const { key } of test.kv.list({ prefix: ["ticket"] })) {
    await test.kv.atomic().delete(key).commit();
  }
  test.clock.advance(CHECK_MS);
  await flush();
  equal(session.superseded.aborted, true);
});

Deno.test("Tickets keep streams and report an error when the store does not answer", async () => {
  await using made = await createTickets();
  const { tickets, test, reports } = made;
  const { secret } = await tickets.issue(SCOPE);
  const session = await tickets.redeem(secret, FIRST);
  test.kv.script("getMany", fail());
  test.clock.advance(CHECK_MS);
  await flush();
  equal(session.superseded.aborted, false);
  deepEqual(reports, ["Cannot check the sessions of tickets"]);
});

Deno.test("Tickets are stored until they expire, and then until their session ends", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, FIRST);
  test.clock.advance(1000);
  await tickets.redeem(secret, FIRST);
  const written = test.kv.written.filter(({ key }) => key[0] === "ticket");
  const expiries = written.map(({ expireIn }) => expireIn);
  deepEqual(expiries, [TICKET_MS, SESSION_MS, SESSION_MS - 1000]);
});

Deno.test("Tickets store nothing that can be used as a ticket", async () => {
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
