import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { formatEventId } from "../../lib/protocol/event.ts";
import type { GrantedStream } from "../../lib/access/scope.ts";
import type { OpenSession } from "../../lib/access/sessions.ts";
import type { Tickets, TicketUse } from "../../lib/access/tickets.ts";
import { commitThenFailCheck, fail, pause } from "../support/fakes/kv.ts";
import { type TestLog, textEvent } from "../support/log.ts";
import {
  createTickets,
  refused,
  REPEAT_MS,
  replaceLog,
  SCOPE,
  SESSION_MS,
  TICKET_MS,
} from "../support/tickets.ts";

const HISTORY = 2;

const REFUSED = refused("p_a");

const FIRST: TicketUse = {
  pipelines: ["p_a"],
  channels: [],
  lastEventId: undefined,
};

function by(lastEventId: string): TicketUse {
  return { ...FIRST, lastEventId };
}

/** Redeems a ticket for one pipeline, and returns the stream with its only session. */
async function redeem(
  tickets: Tickets,
  secret: string,
  use: TicketUse,
): Promise<GrantedStream & OpenSession> {
  const { sessions: [session, ...others], ...granted } = await tickets.redeem(secret, use);
  deepEqual(others, []);
  return { ...granted, sessions: [session!], ...session! };
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
  const session = await redeem(tickets, secret, FIRST);
  equal(session.endsAt, test.clock.now() + SESSION_MS);
  test.clock.advance(REPEAT_MS);
  await rejects(redeem(tickets, secret, FIRST), REFUSED);
  equal(session.superseded.aborted, false);
  session.close();
});

Deno.test("Tickets.redeem() accepts a repeat of the first use for ten seconds", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const first = await redeem(tickets, secret, FIRST);
  test.clock.advance(REPEAT_MS - 1);
  const second = await redeem(tickets, secret, FIRST);
  deepEqual([first.superseded.aborted, second.superseded.aborted], [true, false]);
  equal(second.endsAt, first.endsAt);
  test.clock.advance(1);
  // Counted from the first use, not from the last.
  await rejects(redeem(tickets, secret, FIRST), REFUSED);
});

Deno.test("Tickets.redeem() opens one session for many concurrent uses", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const sessions = await test.advanceUntil(
    Promise.all(Array.from({ length: 20 }, () => redeem(tickets, secret, FIRST))),
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
  await redeem(tickets, inTime.secret, FIRST);
  test.clock.advance(1);
  await rejects(redeem(tickets, late.secret, FIRST), REFUSED);
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
  equal((await redeem(tickets, spent.secret, FIRST)).endsAt, endsAt);
  test.clock.advance(1000);
  await rejects(redeem(tickets, late.secret, FIRST), REFUSED);
  await rejects(redeem(tickets, spent.secret, FIRST), REFUSED);
  await rejects(redeem(tickets, spent.secret, by((await idsOf(test))(0))), REFUSED);
});

Deno.test("Tickets.redeem() rejects an invalid secret, and the ticket of another pipeline", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  for (const wrong of ["", "x", secret.slice(1), `${secret}=`, secret.toLowerCase() + "a"]) {
    await rejects(redeem(tickets, wrong, FIRST), REFUSED);
  }
  await rejects(redeem(tickets, secret, { ...FIRST, pipelines: ["p_b"] }), refused("p_b"));
  equal(tickets.size, 0);
  // Longer than a first use may be repeated, so that the ticket is unspent.
  test.clock.advance(REPEAT_MS);
  await redeem(tickets, secret, FIRST);
});

Deno.test("Tickets.redeem() grants channels of the ticket, and spends none for others", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const issue = () => tickets.issue({ ...SCOPE, channels: ["a", "b"] });
  const { secret } = await issue();
  for (const channels of [["c"], ["a", "c"]]) {
    await rejects(redeem(tickets, secret, { ...FIRST, channels }), {
      type: "forbidden",
      message: "Cannot subscribe to all of these channels: the ticket does not grant that. " +
        "Request a ticket that does",
    });
  }
  test.clock.advance(REPEAT_MS);
  deepEqual((await redeem(tickets, secret, { ...FIRST, channels: ["b"] })).channels, ["b"]);
  // The channels of one stream do not replace those of the ticket.
  deepEqual((await redeem(tickets, secret, FIRST)).channels, ["a", "b"]);
});

Deno.test("Tickets.redeem() ends the earlier of two uses that race, in either order", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await test.log.ensureHead("p_a");
  const writing = pause("answer");
  test.kv.script("commit", writing.fault);
  const redeeming = redeem(tickets, secret, FIRST);
  await writing.reached;
  const later = await redeem(tickets, secret, FIRST);
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
  const { superseded } = await redeem(tickets, secret, FIRST);
  equal(superseded.aborted, false);
});

Deno.test("Tickets.redeem() reopens a session by its event ID, and ends the older stream", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  let older = await redeem(tickets, secret, FIRST);
  test.clock.advance(SESSION_MS - 1);
  // From the position before the first event of the session to the newest event.
  for (const sequence of [1, 2, 3]) {
    const next = await redeem(tickets, secret, by(id(sequence)));
    equal(older.superseded.aborted, true, `${sequence}`);
    equal(next.endsAt, older.endsAt);
    older = next;
  }
  test.clock.advance(1);
  await rejects(redeem(tickets, secret, by(id(3))), REFUSED);
});

Deno.test("Tickets.redeem() rejects an event ID that is not of the session", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { epoch } = await test.log.ensureHead("p_a");
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  const session = await redeem(tickets, secret, FIRST);
  await session.begin({ epoch, sequence: 1 });
  const other = await test.log.ensureHead("p_b");
  const wrong = {
    "from before the session": id(0),
    "ahead of the log": id(4),
    "of another epoch": formatEventId({ epoch: other.epoch, sequence: 2 }),
    "of no form": "2",
    "two of them": `${id(2)}, ${id(2)}`,
  };
  // Not even soon after the first use, as a repeat of it.
  for (const [what, lastEventId] of Object.entries(wrong)) {
    await rejects(redeem(tickets, secret, by(lastEventId)), REFUSED, what);
  }
  equal(session.superseded.aborted, false);
  await redeem(tickets, secret, by(id(1)));
});

Deno.test("Tickets.redeem() accepts event IDs of the log that replaced the session's", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const before = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  await (await redeem(tickets, secret, FIRST)).begin(await test.log.ensureHead("p_a"));
  await replaceLog(test, "BBECAwQFBgc");
  await replaceLog(test, "AAECAwQFBgc");
  const after = await idsOf(test);
  notEqual(after(0), before(0));
  // A client that was away, and again: it has received nothing of the new log.
  for (let i = 0; i < 2; i++) {
    const { begin } = await redeem(tickets, secret, by(before(3)));
    await begin({ epoch: "AAECAwQFBgc", sequence: 2 });
  }
  await rejects(redeem(tickets, secret, by("BBECAwQFBgc-3")), REFUSED);
  await rejects(redeem(tickets, secret, by(after(4))), REFUSED, "ahead of the log");
  await (await redeem(tickets, secret, by(after(2)))).begin({ epoch: "AAECAwQFBgc", sequence: 2 });
  // From here on, its client is in the new log.
  await rejects(redeem(tickets, secret, by(before(3))), REFUSED);
  await rejects(redeem(tickets, secret, by(after(1))), REFUSED);
  await redeem(tickets, secret, by(after(3)));
});

Deno.test("Tickets.redeem() lets a stream go on that was cut in a long replay", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  for (let i = 0; i < 500; i++) await test.log.append("p_a", [textEvent(`${i}`)]);
  const { epoch } = await test.log.ensureHead("p_a");
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  const first = await redeem(tickets, secret, FIRST);
  // A history of one channel may reach further back than its number of events.
  await first.begin({ epoch, sequence: 7 });
  test.clock.advance(REPEAT_MS);
  await redeem(tickets, secret, by(id(8)));
  await rejects(redeem(tickets, secret, by(id(6))), REFUSED);
});

Deno.test("Tickets.redeem() begins at the position of the ticket, unless the header has one", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const id = await idsOf(test);
  const { secret } = await tickets.issue({ ...SCOPE, lastEventId: id(2) });
  equal((await redeem(tickets, secret, FIRST)).lastEventId, id(2));
  equal((await redeem(tickets, secret, FIRST)).lastEventId, id(2), "a repeat");
  equal((await redeem(tickets, secret, by(id(3)))).lastEventId, id(3));
  equal((await redeem(tickets, (await tickets.issue(SCOPE)).secret, FIRST)).lastEventId, undefined);
});

Deno.test("Tickets.redeem() reopens a session that a repeat started earlier", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { epoch } = await test.log.ensureHead("p_a");
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  await (await redeem(tickets, secret, by(id(3)))).begin({ epoch, sequence: 3 });
  // The repeat has no position, so that its stream starts with the history.
  await (await redeem(tickets, secret, FIRST)).begin({ epoch, sequence: 1 });
  await redeem(tickets, secret, by(id(1)));
  await rejects(redeem(tickets, secret, by(id(0))), REFUSED);
});

Deno.test("OpenSession.begin() binds the session after a takeover meanwhile, and never rejects", async () => {
  await using made = await createTickets();
  const { tickets, test, reports } = made;
  await fill(test);
  const { epoch } = await test.log.ensureHead("p_a");
  const id = await idsOf(test);
  const { secret } = await tickets.issue(SCOPE);
  const first = await redeem(tickets, secret, FIRST);
  const second = await redeem(tickets, secret, FIRST);
  await first.begin({ epoch, sequence: 2 });
  equal(second.superseded.aborted, false, "the takeover stays");
  await rejects(redeem(tickets, secret, by(id(1))), REFUSED);
  await second.begin({ epoch, sequence: 1 });
  const third = await redeem(tickets, secret, by(id(1)));
  deepEqual([second.superseded.aborted, third.superseded.aborted], [true, false]);

  const other = await redeem(tickets, (await tickets.issue(SCOPE)).secret, FIRST);
  test.kv.script("commit", fail());
  await other.begin({ epoch, sequence: 2 });
  deepEqual(reports, ["Cannot bind the session of a ticket to the start of its stream"]);
});

Deno.test("Tickets.redeem() rejects a ticket whose credential is no longer valid", async () => {
  await using made = await createTickets();
  const { tickets, test, invalid } = made;
  const [spent, unspent] = [await tickets.issue(SCOPE), await tickets.issue(SCOPE)];
  const other = await tickets.issue({ ...SCOPE, credential: "token:b" });
  await redeem(tickets, spent.secret, FIRST);
  invalid.add("token:a");
  await rejects(redeem(tickets, unspent.secret, FIRST), REFUSED);
  await rejects(redeem(tickets, spent.secret, FIRST), REFUSED);
  await rejects(redeem(tickets, spent.secret, by((await idsOf(test))(0))), REFUSED);
  await redeem(tickets, other.secret, FIRST);
});

Deno.test("Tickets.revoke() ends all tickets and sessions of a pipeline, and no others", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const id = await idsOf(test);
  const [spent, unspent] = [await tickets.issue(SCOPE), await tickets.issue(SCOPE)];
  const other = await tickets.issue({ ...SCOPE, pipelines: ["p_b"] });
  const session = await redeem(tickets, spent.secret, FIRST);
  const stays = await redeem(tickets, other.secret, { ...FIRST, pipelines: ["p_b"] });
  await tickets.revoke("p_a");
  deepEqual([session.revoked.aborted, stays.revoked.aborted], [true, false], "at once");
  equal(session.superseded.aborted, false);
  await rejects(redeem(tickets, unspent.secret, FIRST), REFUSED);
  await rejects(redeem(tickets, spent.secret, by(id(0))), REFUSED);
  // Tickets of afterwards, until the next revocation.
  const later = await tickets.issue(SCOPE);
  const again = await redeem(tickets, later.secret, FIRST);
  await tickets.revoke("p_a");
  equal(again.revoked.aborted, true);
  await rejects(redeem(tickets, later.secret, FIRST), REFUSED);
});

Deno.test("Tickets.revoke() is stored for as long as a ticket can last", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  for (let i = 0; i < 3; i++) await tickets.revoke("p_a");
  const keys: Deno.KvKey[] = [];
  for await (const { key } of test.kv.list({ prefix: ["ticket-revocation"] })) keys.push(key);
  deepEqual(keys, [["ticket-revocation", "p_a"]], "one record, however often");
  equal(test.kv.written.at(-1)!.expireIn, 86_400_000 + 2_147_483_647);
  // The store has deleted the record: a revocation of later is another one.
  const later = await tickets.issue(SCOPE);
  await test.kv.atomic().delete(keys[0]!).commit();
  await tickets.revoke("p_a");
  for (const made of [secret, later.secret]) await rejects(redeem(tickets, made, FIRST), REFUSED);
});

Deno.test("Tickets.redeem() accepts a ticket and a session of version 0.1.0", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { epoch } = await test.log.ensureHead("p_a");
  const id = await idsOf(test);
  const secret = "AAAAAAAAAAAAAAAAAAAAAA";
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  const hash = new Uint8Array(bytes).toHex();
  const endsAt = test.clock.now() + SESSION_MS;
  const stored = { pipeline: "p_a", channels: [], spendBy: endsAt, endsAt };
  await test.kv.atomic().set(["ticket", hash], { ...stored, session: null }).commit();
  await (await redeem(tickets, secret, FIRST)).begin({ epoch, sequence: 1 });
  const from = { epoch, sequence: 2 };
  const session = { generation: 3, openedAt: test.clock.now(), from };
  await test.kv.atomic().set(["ticket", hash], { ...stored, session }).commit();
  await rejects(redeem(tickets, secret, by(id(1))), REFUSED);
  await (await redeem(tickets, secret, by(id(3)))).begin({ epoch, sequence: 3 });
  await redeem(tickets, secret, by(id(2)));
  await tickets.revoke("p_a");
  await rejects(redeem(tickets, secret, by(id(2))), REFUSED);
});

Deno.test("Tickets are stored until they expire, and then until their session ends", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await redeem(tickets, secret, FIRST);
  test.clock.advance(1000);
  await redeem(tickets, secret, FIRST);
  const written = test.kv.written.filter(({ key }) => key[0] === "ticket");
  const expiries = written.map(({ expireIn }) => expireIn);
  deepEqual(expiries, [TICKET_MS, SESSION_MS, SESSION_MS - 1000]);
});

Deno.test("Tickets are stored for whole milliseconds, however their token names its end", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue({ ...SCOPE, endsAt: test.clock.now() + 1000.25 });
  const { begin } = await redeem(tickets, secret, FIRST);
  test.clock.advance(1001);
  // The log is slow, and the session has ended meanwhile.
  await begin({ epoch: (await test.log.ensureHead("p_a")).epoch, sequence: 0 });
  deepEqual(made.reports, []);
  deepEqual(test.kv.written.slice(-2).map(({ expireIn }) => expireIn), [1001, 0]);
});

Deno.test("Tickets store nothing that can be used as a ticket", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  await redeem(tickets, secret, FIRST);
  for await (const entry of test.kv.list({ prefix: [] })) {
    ok(!Deno.inspect(entry, { depth: Infinity, strAbbreviateSize: Infinity }).includes(secret));
  }
  const hashes: string[] = [];
  for await (const { key } of test.kv.list({ prefix: ["ticket"] })) hashes.push(String(key[1]));
  equal(hashes.length, 1);
  await rejects(redeem(tickets, hashes[0]!, FIRST), REFUSED);
});
