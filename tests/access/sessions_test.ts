import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { type LocalSession, Sessions } from "../../lib/access/sessions.ts";
import type { SpentTicket } from "../../lib/access/ticket_use.ts";
import { fail, pause } from "../support/fakes/kv.ts";
import { createTestLog, type TestLog } from "../support/log.ts";
import { flush } from "../support/wait.ts";

const CHECK_MS = 15_000;

interface TestSessions extends AsyncDisposable {
  sessions: Sessions;
  test: TestLog;
  reports: string[];
  /** Answers whether a credential is valid. */
  answers: Map<string, () => Promise<boolean>>;
}

async function createSessions(checkMs = CHECK_MS): Promise<TestSessions> {
  const test = await createTestLog();
  const reports: string[] = [];
  const answers = new Map<string, () => Promise<boolean>>();
  const sessions = new Sessions({
    store: test.tickets,
    credentials: {
      isValid: (credential) => answers.get(credential)?.() ?? Promise.resolve(true),
    },
    runtime: { clock: test.clock, report: (message) => reports.push(message) },
    checkMs,
  });
  return {
    sessions,
    test,
    reports,
    answers,
    async [Symbol.asyncDispose]() {
      sessions[Symbol.dispose]();
      await test.log.close();
    },
  };
}

function spent(generation: number, ticket: Partial<SpentTicket> = {}): SpentTicket {
  const from = { epoch: "AAECAwQFBgc", sequence: 0 };
  const session = { generation, openedAt: 0, from };
  return { pipeline: "p_a", channels: [], spendBy: 0, endsAt: Infinity, session, ...ticket };
}

/** Stores a ticket, and registers its session. */
async function open(
  { sessions, test }: TestSessions,
  hash: string,
  ticket = spent(1),
): Promise<LocalSession> {
  ok(await test.tickets.write([{ hash, ticket, versionstamp: null, expireIn: 1_000_000 }]));
  return sessions.register(hash, ticket);
}

async function takeOver({ test }: TestSessions, hash: string, generation: number): Promise<void> {
  const [entry] = await test.tickets.read([{ hash, pipeline: "p_a" }]);
  const { versionstamp } = entry!;
  const ticket = spent(generation);
  ok(await test.tickets.write([{ hash, ticket, versionstamp, expireIn: 1_000_000 }]));
}

async function check({ test }: TestSessions): Promise<void> {
  test.clock.advance(CHECK_MS);
  for (let turn = 0; turn < 20 || test.kv.busy > 0; turn++) await flush();
}

/** Returns how a session has ended, if it has. */
function endOf({ superseded, revoked }: LocalSession): string {
  return [superseded.aborted && "superseded", revoked.aborted && "revoked"].filter(Boolean).join();
}

Deno.test("Sessions end a stream at the next check after a takeover elsewhere", async () => {
  await using made = await createSessions();
  const { test } = made;
  const [older, other] = [await open(made, "a"), await open(made, "b")];
  await takeOver(made, "a", 2);
  test.clock.advance(CHECK_MS - 1);
  await flush();
  equal(endOf(older), "");
  test.clock.advance(1);
  await flush();
  deepEqual([endOf(older), endOf(other)], ["superseded", ""]);
  for (const { close } of [older, other]) close();
  deepEqual([made.sessions.size, test.clock.liveTimers], [0, 0]);
});

Deno.test("Sessions keep a stream that takes the session over during a check", async () => {
  await using made = await createSessions();
  const { test } = made;
  const older = await open(made, "a");
  const reading = pause("answer");
  test.kv.script("getMany", reading.fault);
  test.clock.advance(CHECK_MS);
  await reading.reached;
  const newer = made.sessions.register("a", spent(2));
  reading.release();
  await flush();
  deepEqual([endOf(older), endOf(newer)], ["superseded", ""]);
});

Deno.test("Sessions are all checked, however many there are", async () => {
  await using made = await createSessions();
  const opened: LocalSession[] = [];
  for (let i = 0; i < 1001; i++) {
    opened.push(made.sessions.register(`${i}`, spent(1, { pipeline: `p_${i}` })));
  }
  await check(made);
  ok(opened.every((session) => endOf(session) === "revoked"), "none of the tickets is stored");
});

Deno.test("Sessions end by the revocation of their pipeline, unless it is older", async () => {
  await using made = await createSessions();
  const { test } = made;
  await test.tickets.revoke("p_a", "r", 1000);
  const before = await open(made, "a");
  const after = await open(made, "b", spent(1, { revocation: "r" }));
  const elsewhere = await open(made, "c", spent(1, { pipeline: "p_b" }));
  const calls = test.kv.calls.getMany;
  await check(made);
  deepEqual([before, after, elsewhere].map(endOf), ["revoked", "", ""]);
  equal(test.kv.calls.getMany - calls, 2, "the takeovers, and a key of each pipeline");
});

Deno.test("Sessions end with their credential, which is asked for once", async () => {
  await using made = await createSessions();
  let asked = 0;
  made.answers.set("key:a", () => (asked++, Promise.resolve(false)));
  const withIt = [];
  for (const hash of ["a", "b"]) {
    withIt.push(await open(made, hash, spent(1, { credential: "key:a" })));
  }
  const other = await open(made, "c", spent(1, { credential: "key:b" }));
  const old = await open(made, "d");
  await check(made);
  deepEqual([...withIt, other, old].map(endOf), ["revoked", "revoked", "", ""]);
  equal(asked, 1);
});

Deno.test("Sessions survive a check that fails, and the other checks are made", async () => {
  await using made = await createSessions();
  made.answers.set("key:a", () => Promise.reject(new Error("unreachable")));
  const unknown = await open(made, "a", spent(1, { credential: "key:a" }));
  const superseded = await open(made, "b");
  await takeOver(made, "b", 2);
  await check(made);
  deepEqual([endOf(unknown), endOf(superseded)], ["", "superseded"]);
  made.test.kv.script("getMany", fail(), fail());
  await check(made);
  equal(endOf(unknown), "");
  const report = "Cannot check the sessions of tickets";
  deepEqual(made.reports, Array.from({ length: 4 }, () => report));
});

Deno.test("Sessions make one check at a time", async () => {
  // Shorter than a call of the store may take.
  await using made = await createSessions(1000);
  const { test } = made;
  const session = await open(made, "a");
  const reading = pause("answer");
  test.kv.script("getMany", reading.fault);
  const before = test.kv.calls.getMany;
  test.clock.advance(1000);
  await reading.reached;
  test.clock.advance(1000);
  equal(test.kv.calls.getMany - before, 1, "that of the first check");
  reading.release();
  await flush();
  equal(test.kv.calls.getMany - before, 2, "it goes on");
  test.clock.advance(1000);
  await flush();
  equal(test.kv.calls.getMany - before, 4);
  session.close();
});
