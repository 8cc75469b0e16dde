import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { formatEventId, joinEventIds, MAX_PIPELINES } from "../../lib/protocol/event.ts";
import type { GrantedStream } from "../../lib/access/scope.ts";
import { deleteTickets, ticketRecordTimeLeft } from "../../lib/access/kv_ticket_store.ts";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import type { TicketUse } from "../../lib/access/tickets.ts";
import { commitThenFail, commitThenFailCheck, fail, pause } from "../support/fakes/kv.ts";
import { type TestLog, textEvent } from "../support/log.ts";
import {
  CHECK_MS,
  createTickets,
  refused,
  REPEAT_MS,
  replaceLog,
  SCOPE as SCOPE_OF_ONE,
  SESSION_MS,
  TICKET_MS,
} from "../support/tickets.ts";
import { flush } from "../support/wait.ts";

const PIPELINES = ["p_a", "p_b", "p_c"];

const SCOPE = { ...SCOPE_OF_ONE, pipelines: PIPELINES };

const FIRST: TicketUse = { pipelines: PIPELINES, channels: [], lastEventId: undefined };

/** Returns a use of some pipelines, with the ID of a reconnect if there is one. */
function use(pipelines: string[], lastEventId?: string): TicketUse {
  return { ...FIRST, pipelines, lastEventId };
}

/** Appends three events to each of some pipelines. */
async function fill({ log }: TestLog, pipelines = PIPELINES): Promise<void> {
  for (const pipeline of pipelines) {
    for (let i = 0; i < 3; i++) await log.append(pipeline, [textEvent(`${i}`)]);
  }
}

/** Returns an event ID of a pipeline. */
async function idOf({ log }: TestLog, pipeline: string, sequence: number): Promise<string> {
  const { epoch } = await log.ensureHead(pipeline);
  return formatEventId({ epoch, sequence });
}

/** Returns the ID of a stream of some pipelines, at the same sequence of each. */
async function idOfAll(test: TestLog, pipelines = PIPELINES, sequence = 3): Promise<string> {
  return joinEventIds(
    await Promise.all(pipelines.map((pipeline) => idOf(test, pipeline, sequence))),
  );
}

/** Returns a letter for each session of a stream: superseded, revoked or open. */
function states({ sessions }: GrantedStream): string {
  return sessions.map(({ superseded, revoked }) =>
    revoked.aborted ? "r" : superseded.aborted ? "s" : "o"
  ).join("");
}

function close({ sessions }: GrantedStream): void {
  for (const { close } of sessions) close();
}

Deno.test("Tickets.redeem() opens a session for each pipeline, in any order and number", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret, redeemBy } = await tickets.issue(SCOPE);
  equal(redeemBy, test.clock.now() + TICKET_MS);
  for (const pipelines of [PIPELINES, ["p_c", "p_a", "p_b"], ["p_b", "p_a"], ["p_c"]]) {
    const stream = await tickets.redeem(secret, use(pipelines));
    const seen = await Promise.all(pipelines.map((pipeline) => test.log.ensureHead(pipeline)));
    deepEqual(
      stream.sessions.map(({ seen }) => seen),
      seen.map(({ epoch, sequence }) => ({ epoch, sequence })),
      "in the order of the request",
    );
    equal(stream.endsAt, test.clock.now() + SESSION_MS);
    equal(tickets.size, pipelines.length);
    close(stream);
    equal(tickets.size, 0);
  }
});

Deno.test("Tickets.redeem() names the first pipeline that is not of the ticket, and spends nothing", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const other = await tickets.issue({ ...SCOPE, pipelines: ["p_d", "p_e"] });
  for (
    const [pipelines, named] of [
      [["p_a", "p_b", "p_d"], "p_d"],
      [["p_d", "p_a"], "p_d"],
      [["p_a", "p_e", "p_b", "p_d"], "p_e"],
      [["p_d"], "p_d"],
    ] as const
  ) {
    await rejects(tickets.redeem(secret, use([...pipelines])), refused(named));
  }
  await rejects(tickets.redeem(other.secret, use(["p_d", "p_a"])), refused("p_a"));
  equal(tickets.size, 0);
  // Longer than a first use may be repeated, so that the tickets are unspent.
  test.clock.advance(REPEAT_MS);
  equal(states(await tickets.redeem(secret, FIRST)), "ooo");
  equal(states(await tickets.redeem(other.secret, use(["p_e", "p_d"]))), "oo");
});

Deno.test("Tickets.redeem() takes no ticket of one pipeline for one of several, nor the reverse", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const one = await tickets.issue(SCOPE_OF_ONE);
  const several = await tickets.issue(SCOPE);
  await rejects(tickets.redeem(one.secret, use(["p_a", "p_b"])), refused("p_b"));
  for (const wrong of [one.secret, `${one.secret} p_a`, `s.${one.secret}`, ""]) {
    await rejects(tickets.redeem(wrong, use(["p_b"])), refused("p_b"), wrong);
  }
  const bare = several.secret.slice(2);
  for (const wrong of [bare, `${bare} p_a`, `${several.secret} p_a`, "s.", `s.${several.secret}`]) {
    await rejects(tickets.redeem(wrong, use(["p_a"])), refused("p_a"), wrong);
  }
  test.clock.advance(REPEAT_MS);
  await tickets.redeem(one.secret, use(["p_a"]));
  equal(states(await tickets.redeem(several.secret, FIRST)), "ooo");
});

Deno.test("Tickets.redeem() spends no pipeline if one of them is spent", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  await tickets.redeem(secret, use(["p_b"]));
  test.clock.advance(REPEAT_MS);
  await rejects(tickets.redeem(secret, FIRST), refused("p_b"));
  // Not with the ID of another one.
  for (const pipeline of ["p_a", "p_c", "p_d"]) {
    const lastEventId = await idOf(test, pipeline, 2);
    await rejects(tickets.redeem(secret, use(PIPELINES, lastEventId)), refused("p_b"), pipeline);
  }
  test.clock.advance(REPEAT_MS);
  const stream = await tickets.redeem(secret, use(["p_a", "p_c"]));
  equal(stream.endsAt, test.clock.now() + SESSION_MS, "a first use");
  const all = await tickets.redeem(secret, use(PIPELINES, await idOfAll(test)));
  equal(all.endsAt, test.clock.now() + SESSION_MS - 2 * REPEAT_MS, "that of the first to end");
});

Deno.test("Tickets.redeem() repeats the first use of all pipelines for ten seconds", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const first = await tickets.redeem(secret, FIRST);
  test.clock.advance(REPEAT_MS - 1);
  const second = await tickets.redeem(secret, FIRST);
  deepEqual([states(first), states(second)], ["sss", "ooo"]);
  test.clock.advance(1);
  await rejects(tickets.redeem(secret, FIRST), refused("p_a"));
  equal(states(second), "ooo");
});

Deno.test("Tickets.redeem() writes all pipelines or none if the store fails", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  test.kv.script("commit", fail());
  await rejects(tickets.redeem(secret, FIRST), { type: "log-unavailable" });
  test.clock.advance(REPEAT_MS);
  const commits = test.kv.calls.commit;
  // It was not told that it had all of them, and asks again.
  test.kv.script("commit", commitThenFail());
  await rejects(tickets.redeem(secret, FIRST), { type: "log-unavailable" });
  equal(test.kv.calls.commit - commits, 1);
  equal(tickets.size, 0);
  const stream = await tickets.redeem(secret, FIRST);
  equal(states(stream), "ooo");
  equal(test.kv.calls.commit - commits, 2, "one for all pipelines");
  close(stream);
  test.kv.script("commit", commitThenFailCheck);
  equal(states(await tickets.redeem(secret, use(PIPELINES, await idOfAll(test)))), "ooo");
});

Deno.test("Tickets.issue() stores all pipelines or none, and nothing that is a ticket", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const records = async () => await Array.fromAsync(test.kv.list({ prefix: ["ticket"] }));
  const pipelines = Array.from({ length: MAX_PIPELINES }, (_, index) => `p_${index}`);
  test.kv.script("commit", fail());
  await rejects(tickets.issue({ ...SCOPE, pipelines }), { type: "log-unavailable" });
  deepEqual(await records(), []);
  const commits = test.kv.calls.commit;
  const { secret } = await tickets.issue({ ...SCOPE, pipelines });
  equal(test.kv.calls.commit - commits, 1);
  const stored = await records();
  deepEqual(stored.map(({ value }) => (value as { pipeline: string }).pipeline).sort(), pipelines);
  ok(test.kv.written.every(({ expireIn }) => expireIn === TICKET_MS));
  for (const { key, value } of stored) {
    const [, hash] = key as string[];
    ok(!Deno.inspect({ hash, value }, { strAbbreviateSize: Infinity }).includes(secret.slice(2)));
    for (const found of [hash!, `s.${hash}`]) {
      await rejects(tickets.redeem(found, use(["p_0"])), refused("p_0"));
    }
  }
  equal((await tickets.redeem(secret, use(pipelines))).sessions.length, MAX_PIPELINES);
});

Deno.test("Tickets.redeem() leaves one whole stream of many that race", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const streams = await test.advanceUntil(
    Promise.all(Array.from({ length: 20 }, (_, index) => {
      const pipelines = index % 2 === 0 ? PIPELINES : PIPELINES.toReversed();
      return tickets.redeem(secret, use(pipelines));
    })),
  );
  const shown = streams.map(states);
  deepEqual([shown.filter((state) => state === "ooo").length, shown.length], [1, 20]);
  equal(shown.filter((state) => state === "sss").length, 19);
  equal(tickets.size, 3);
  for (const stream of streams) close(stream);
  deepEqual([tickets.size, test.clock.liveTimers], [0, 0]);
});

Deno.test("Tickets.redeem() ends the earlier of two streams that race, in either order", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  for (const pipeline of PIPELINES) await test.log.ensureHead(pipeline);
  const writing = pause("answer");
  test.kv.script("commit", writing.fault);
  const redeeming = tickets.redeem(secret, FIRST);
  await writing.reached;
  const later = await tickets.redeem(secret, use(PIPELINES.toReversed()));
  writing.release();
  const earlier = await redeeming;
  deepEqual([states(earlier), states(later)], ["sss", "ooo"]);
  close(earlier);
  equal(tickets.size, 3, "the later one is still registered");
});

Deno.test("Tickets.redeem() takes over the sessions of the requested pipelines only", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  const all = await tickets.redeem(secret, FIRST);
  const one = await tickets.redeem(secret, use(["p_b"], await idOf(test, "p_b", 3)));
  deepEqual([states(all), states(one)], ["oso", "o"]);
  close(all);
  equal(tickets.size, 1, "that of the other stream");
  const again = await tickets.redeem(secret, use(PIPELINES, await idOfAll(test)));
  deepEqual([states(one), states(again)], ["s", "ooo"]);
});

Deno.test("Tickets.redeem() accepts a reconnect in any order of its pipelines", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  let older = await tickets.redeem(secret, FIRST);
  test.clock.advance(SESSION_MS - 1);
  for (const order of [PIPELINES, PIPELINES.toReversed(), ["p_b", "p_c", "p_a"]]) {
    const lastEventId = await idOfAll(test, order);
    const next = await tickets.redeem(secret, use(PIPELINES, lastEventId));
    equal(next.lastEventId, lastEventId);
    deepEqual([states(older), states(next)], ["sss", "ooo"]);
    older = next;
  }
  test.clock.advance(1);
  await rejects(
    tickets.redeem(secret, use(PIPELINES, await idOfAll(test))),
    refused("p_a"),
  );
});

Deno.test("Tickets.redeem() needs a part of its own for each pipeline of a reconnect", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test, [...PIPELINES, "p_d"]);
  const [a, b, c, other] = await Promise.all(
    [...PIPELINES, "p_d"].map((pipeline) => idOf(test, pipeline, 2)),
  );
  const [a1, b3, b4] = [
    await idOf(test, "p_a", 1),
    await idOf(test, "p_b", 3),
    await idOf(test, "p_b", 4),
  ];
  const { secret } = await tickets.issue(SCOPE);
  const stream = await tickets.redeem(secret, FIRST);
  for (const { begin, seen } of stream.sessions) await begin({ ...seen, sequence: 2 });
  const hostile: [string, string, string][] = [
    ["an ID of the first only", `${a}`, "p_b"],
    ["an ID of the last only", `${c}`, "p_a"],
    ["IDs of two", `${a}.${c}`, "p_b"],
    ["the same part for each", `${a}.${a}.${a}`, "p_a"],
    ["the same part twice", `${a}.${a}.${c}`, "p_a"],
    ["a part twice, and all others", `${a}.${b}.${b}.${c}`, "p_b"],
    ["guesses of a pipeline", `${a}.${b}.${b3}.${c}`, "p_b"],
    ["a part of another pipeline", `${a}.${other}.${c}`, "p_b"],
    ["parts of others only", `${other}.${other}.${other}`, "p_a"],
    ["a part from before its session", `${a1}.${b}.${c}`, "p_a"],
    ["a part ahead of its log", `${a}.${b4}.${c}`, "p_b"],
    ["an empty part", `${a}..${c}`, "p_b"],
    ["empty parts only", "..", "p_a"],
    ["another separator", `${a},${b},${c}`, "p_a"],
    ["spaces", `${a}. ${b}.${c}`, "p_b"],
    ["an epoch in lower case", `${a}.${b!.toLowerCase()}.${c}`, "p_b"],
    ["a sequence in another form", `${a}.${b}.${c!.replace(/\d+$/, "02")}`, "p_c"],
    ["a part with a mark of a gap beside the same one without", `${a}.${b}.~${b}.${c}`, "p_b"],
    ["a part with two marks", `${a}.~~${b}.${c}`, "p_b"],
    ["a mark alone", `${a}.~.${c}`, "p_b"],
    ["a marked part of another pipeline", `${a}.~${a}.${c}`, "p_a"],
    ["a marked part ahead of its log", `${a}.~${b4}.${c}`, "p_b"],
    ["300 parts", joinEventIds([a!, b!, c!, ...Array(297).fill(other)]), "p_a"],
    ["as many parts as digits", joinEventIds(Array.from({ length: 300 }, (_, i) => `${i}`)), "p_a"],
    ["one part more than a stream has", joinEventIds([a!, b!, c!, ...Array(8).fill("")]), "p_a"],
  ];
  for (const [what, lastEventId, named] of hostile) {
    await rejects(tickets.redeem(secret, use(PIPELINES, lastEventId)), refused(named), what);
  }
  equal(states(stream), "ooo");
  // Parts of other pipelines, and IDs of no form, do no harm.
  const more = joinEventIds([other!, c!, "", `~${b}`, "x", a!]);
  equal(states(await tickets.redeem(secret, use(PIPELINES, more))), "ooo");
});

Deno.test("Tickets.redeem() opens no pipeline by an ID of another one, for all pairs", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  close(await tickets.redeem(secret, FIRST));
  test.clock.advance(REPEAT_MS);
  for (const known of PIPELINES) {
    for (const wanted of PIPELINES) {
      const lastEventId = await idOf(test, known, 3);
      const redeeming = tickets.redeem(secret, use([wanted], lastEventId));
      if (known === wanted) close(await redeeming);
      else await rejects(redeeming, refused(wanted));
    }
  }
});

Deno.test("Tickets.redeem() accepts parts of logs that replaced those of the sessions", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  const [before, rest] = [await idOf(test, "p_a", 3), await idOfAll(test, ["p_b", "p_c"])];
  const first = await tickets.redeem(secret, FIRST);
  for (const { begin, seen } of first.sessions) await begin(seen);
  await replaceLog(test, "BBECAwQFBgc");
  await replaceLog(test, "AAECAwQFBgc");
  const after = await idOf(test, "p_a", 3);
  equal(after, "AAECAwQFBgc-3");
  const refusal = refused("p_a");
  // That of the log in between, and those of both logs at once.
  for (const part of ["BBECAwQFBgc-3", `${before}.${after}`]) {
    await rejects(tickets.redeem(secret, use(PIPELINES, `${part}.${rest}`)), refusal, part);
  }
  // A client that was away, and one that has received something of the new log.
  for (const part of [before, after]) {
    equal(states(await tickets.redeem(secret, use(PIPELINES, `${part}.${rest}`))), "ooo", part);
  }
  // From here on, its client is in the new log. No log of another pipeline was replaced.
  await rejects(tickets.redeem(secret, use(PIPELINES, `${before}.${rest}`)), refusal);
  await rejects(
    tickets.redeem(secret, use(PIPELINES, `${after}.${after}.${after}`)),
    refusal,
  );
  await rejects(
    tickets.redeem(secret, use(["p_b", "p_a"], `${after}.AAECAwQFBgc-2`)),
    refused("p_b"),
  );
});

Deno.test("OpenSession.begin() binds each pipeline to the start of its own part", async () => {
  await using made = await createTickets();
  const { tickets, test, reports } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  const { sessions } = await tickets.redeem(secret, FIRST);
  const starts = [3, 1, 2];
  await test.advanceUntil(Promise.all(
    sessions.map(({ begin, seen }, index) => begin({ ...seen, sequence: starts[index]! })),
  ));
  deepEqual(reports, []);
  const at = async (...sequences: number[]) =>
    joinEventIds(
      await Promise.all(
        sequences.map((sequence, index) => idOf(test, PIPELINES[index]!, sequence)),
      ),
    );
  await rejects(tickets.redeem(secret, use(PIPELINES, await at(2, 1, 2))), refused("p_a"));
  await rejects(tickets.redeem(secret, use(PIPELINES, await at(3, 0, 2))), refused("p_b"));
  await rejects(tickets.redeem(secret, use(PIPELINES, await at(3, 1, 1))), refused("p_c"));
  equal(states(await tickets.redeem(secret, use(PIPELINES, await at(3, 1, 2)))), "ooo");
});

Deno.test("Tickets.revoke() ends the session of its pipeline, and the ticket for it", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  await fill(test);
  const { secret } = await tickets.issue(SCOPE);
  const stream = await tickets.redeem(secret, FIRST);
  await tickets.revoke("p_b");
  equal(states(stream), "oro", "at once");
  close(stream);
  await rejects(tickets.redeem(secret, FIRST), refused("p_b"));
  await rejects(tickets.redeem(secret, use(PIPELINES, await idOfAll(test))), refused("p_b"));
  const others = ["p_a", "p_c"];
  const left = await tickets.redeem(secret, use(others, await idOfAll(test, others)));
  equal(states(left), "oo");
  equal(states(await tickets.redeem((await tickets.issue(SCOPE)).secret, FIRST)), "ooo");
});

Deno.test("Tickets check each session of a stream for what happened elsewhere", async () => {
  await using here = await createTickets();
  const { tickets, test } = here;
  await fill(test);
  const [taken, revoked] = [await tickets.issue(SCOPE), await tickets.issue(SCOPE)];
  const lastEventId = await idOf(test, "p_c", 3);
  const streams = [
    await tickets.redeem(taken.secret, FIRST),
    await tickets.redeem(revoked.secret, use(["p_a", "p_b"])),
  ];
  const check = async () => {
    test.clock.advance(CHECK_MS);
    for (let turn = 0; turn < 20 || test.kv.busy > 0; turn++) await flush();
    return streams.map(states);
  };
  deepEqual(await check(), ["ooo", "oo"]);
  // By another process, whose sessions are not known here.
  await using there = await createTickets({ test });
  await there.tickets.redeem(taken.secret, use(["p_c"], lastEventId));
  await there.tickets.revoke("p_a");
  deepEqual(streams.map(states), ["ooo", "oo"]);
  deepEqual(await check(), ["ros", "ro"]);
});

Deno.test("Tickets of several pipelines are copied and deleted as those of one are", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const { secret } = await tickets.issue(SCOPE);
  const timesLeft = async () => {
    const records = await Array.fromAsync(test.kv.list({ prefix: ["ticket"] }));
    const now = test.clock.now();
    return records.map(({ key, value }) => ticketRecordTimeLeft(key, value, now));
  };
  test.clock.advance(1000);
  deepEqual(await timesLeft(), PIPELINES.map(() => TICKET_MS - 1000));
  await tickets.redeem(secret, FIRST);
  test.clock.advance(1000);
  deepEqual(await timesLeft(), PIPELINES.map(() => SESSION_MS - 1000));
  // As the restore of a backup does.
  const runtime = { clock: test.clock, report() {} };
  const open = () => Promise.resolve(test.kv);
  await deleteTickets(await KvConnection.open({ open, runtime, timeoutMs: 3000, remote: false }));
  deepEqual(await timesLeft(), []);
  await rejects(tickets.redeem(secret, FIRST), refused("p_a"));
});

Deno.test("Tickets.redeem() rejects all pipelines without the credential of the ticket", async () => {
  await using made = await createTickets();
  const { tickets, invalid } = made;
  const { secret } = await tickets.issue(SCOPE);
  invalid.add(SCOPE.credential);
  await rejects(tickets.redeem(secret, FIRST), refused("p_a"));
  invalid.clear();
  equal(states(await tickets.redeem(secret, FIRST)), "ooo");
});

Deno.test("Tickets.redeem() grants the channels of the ticket on all pipelines", async () => {
  await using made = await createTickets();
  const { tickets, test } = made;
  const lastEventId = "AAECAwQFBgc-2.BBECAwQFBgc-3";
  const { secret } = await tickets.issue({ ...SCOPE, channels: ["a", "b"], lastEventId });
  await rejects(tickets.redeem(secret, { ...FIRST, channels: ["a", "c"] }), {
    type: "forbidden",
    message: /^Cannot subscribe to all of these channels/,
  });
  test.clock.advance(REPEAT_MS);
  const { channels, lastEventId: position } = await tickets.redeem(secret, {
    ...FIRST,
    channels: ["b"],
  });
  deepEqual([channels, position], [["b"], lastEventId]);
  deepEqual((await tickets.redeem(secret, use(["p_c"]))).channels, ["a", "b"]);
});
