import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import fc from "fast-check";
import { delay } from "../../lib/base/clock.ts";
import type { AppendRequest, Receipt } from "../../lib/log/commit.ts";
import { RunnelError } from "../../lib/base/errors.ts";
import { CommitQueue } from "../../lib/log/commit_queue.ts";
import { hashIdempotency, type IdempotencyToken } from "../../lib/log/idempotency.ts";
import type { NewEvent } from "../../lib/protocol/event.ts";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { SharedTurn } from "../../lib/log/shared_turn.ts";
import { LogWriter } from "../../lib/log/log_writer.ts";
import { HeadReader } from "../../lib/log/unwritten.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import {
  commitThenFail,
  commitThenFailCheck,
  commitThenHang,
  databaseLocked,
  fail,
  failCheck,
  type Fault,
  FaultyKv,
  hang,
  type KvCall,
  passThrough,
  pause,
} from "../support/fakes/kv.ts";
import {
  advanceLogsUntil,
  committedTexts,
  createTestLog,
  memoryStore,
  prepareStore,
  readTexts,
  textEvent,
  TIMEOUT_MS,
} from "../support/log.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { flush, until } from "../support/wait.ts";
import {
  appendText,
  createWrittenLog,
  leaveOutcomeUnknown,
  LOG_UNAVAILABLE,
  OUTCOME_UNKNOWN,
  rejectionAtDeadline,
  waitForWriters,
} from "../support/written_log.ts";

/** Outcome of an append as text. */
async function outcomeOf(answer: Promise<Receipt>): Promise<string> {
  try {
    const { first, replayed } = await answer;
    return `${replayed ? "replayed" : "stored"} ${first}`;
  } catch (error) {
    if (error instanceof RunnelError) return error.type;
    throw error;
  }
}

/** Creates a writer on a store of its own. */
async function createWriter({ shared = false }: { shared?: boolean } = {}) {
  const [clock, kv] = [new FakeClock(), new FaultyKv(await Deno.openKv(":memory:"))];
  await prepareStore(kv.inner);
  const connection = await KvConnection.open({
    open: () => Promise.resolve(kv),
    runtime: { clock, report() {} },
    timeoutMs: TIMEOUT_MS,
    remote: false,
  });
  const metrics = createMetrics();
  const writer = new LogWriter("p_a", {
    turn: new SharedTurn(),
    kv: connection,
    commits: new CommitQueue({ kv: connection, runtime: { clock }, metrics }),
    metrics,
    shared,
    runtime: { clock, random: () => 0, report() {} },
    retention: { events: 1000, ms: 60_000, bytes: 1e6 },
    maxKeys: 1000,
    timeoutMs: TIMEOUT_MS,
    onCommit: () => {},
    onTrim: () => {},
    onTimeStep: () => {},
    headReader: new HeadReader({ clock, random: () => 0 }),
  });
  return {
    clock,
    kv,
    writer,
    async [Symbol.asyncDispose]() {
      await writer.close();
      connection.close();
    },
  };
}

/**
 * Creates a log whose writer has a commit in flight that is held, and requests
 * with a key that wait for it, in the given order. Their hashes are computed
 * before, so that all are sent at once.
 */
async function createBusyWriter(
  ahead: string,
  texts: string[],
  options: { stored?: string } = {},
) {
  const test = await createWriter();
  const { clock, kv, writer } = test;
  const send = async (text: string, key?: string) => {
    const events = [textEvent(text)];
    const token = key === undefined ? undefined : await hashIdempotency(key, events);
    return () => outcomeOf(writer.append(requestOf(events, token), 100));
  };
  if (options.stored) await (await send(options.stored, "k"))();
  const requests = await Promise.all(texts.map((text) => send(text, "k")));
  const commit = pause("call");
  kv.script("commit", commit.fault);
  const first = (await send(ahead))();
  await commit.reached;
  const answers = requests.map((request) => request());
  return {
    clock,
    kv,
    commit,
    writer,
    /** Outcome of the commit that is held. */
    first,
    /** Outcomes of the requests. */
    answers,
    send,
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

// Waiting requests

Deno.test("LogWriter refuses requests that wait for a commit of unknown outcome", async () => {
  for (const what of ["call", "answer"] as const) {
    await using test = await createWrittenLog();
    const commit = pause(what);
    test.kv.script("commit", commit.fault);
    const first = rejects(appendText(test, "1"), OUTCOME_UNKNOWN);
    await commit.reached;
    const waiting = ["2", "3", "4"].map((text) => rejects(appendText(test, text), LOG_UNAVAILABLE));
    test.clock.advance(TIMEOUT_MS);
    await Promise.all([first, ...waiting]);
    commit.release();
    await test.advanceUntil(appendText(test, "5"));
    const texts = await readTexts(test.log, "p_a");
    deepEqual(texts.filter((text) => text !== "1"), ["0", "5"]);
    deepEqual(committedTexts(test.commits), texts);
  }
});

const unread: [string, KvCall, key?: string][] = [
  ["the head", "get"],
  ["the head", "get", "k"],
  ["the keys", "getMany", "k"],
];
for (const [name, call, key] of unread) {
  for (const [faultName, fault] of [["throws", fail()], ["hangs", hang]] as const) {
    const what = `reading ${name} ${key ? "with" : "without"} a key ${faultName}`;
    Deno.test(`LogWriter refuses an event and does not store it if ${what}`, async () => {
      await using test = await createTestLog();
      test.kv.script(call, fault);
      const refused = rejects(appendText(test, "1", key), LOG_UNAVAILABLE);
      await until(() => test.kv.calls[call] === 1);
      test.clock.advance(TIMEOUT_MS);
      await refused;
      deepEqual(await readTexts(test.log, "p_a"), []);
      deepEqual((await appendText(test, "2", key)).replayed, false);
      deepEqual(await readTexts(test.log, "p_a"), ["2"]);
      equal(test.clock.liveTimers, 0);
    });
  }
}

Deno.test("LogWriter answers all requests with one key alike if it refuses them", async () => {
  await using test = await createBusyWriter("0", ["1", "1", "1"]);
  test.clock.advance(TIMEOUT_MS);
  equal(await test.first, "outcome-unknown");
  deepEqual(await Promise.all(test.answers), Array(3).fill("log-unavailable"));
  const again = await Promise.all(["1", "1", "1"].map((text) => test.send(text, "k")));
  deepEqual(await Promise.all(again.map((request) => request())), [
    "stored 1",
    "replayed 1",
    "replayed 1",
  ]);
});

Deno.test("LogWriter answers all requests with one key alike if the outcome is unknown", async () => {
  await using test = await createBusyWriter("0", ["1", "1", "1"]);
  const commit = pause("call");
  test.kv.script("commit", commit.fault);
  test.commit.release();
  equal(await test.first, "stored 1");
  await commit.reached;
  test.clock.advance(TIMEOUT_MS);
  deepEqual(await Promise.all(test.answers), Array(3).fill("outcome-unknown"));
  const again = await test.send("1", "k");
  equal(await again(), "stored 2");
});

Deno.test("LogWriter lets the record of a key decide, not the first request that waits", async () => {
  await using test = await createBusyWriter("2", ["other", "1"], { stored: "1" });
  test.commit.release();
  deepEqual(await Promise.all(test.answers), ["key-reused", "replayed 1"]);
  equal(await test.first, "stored 2");
});

Deno.test("LogWriter accepts a key with other events if the first were refused", async () => {
  await using test = await createBusyWriter("0", ["1", "2"]);
  test.clock.advance(TIMEOUT_MS);
  deepEqual(await Promise.all(test.answers), ["log-unavailable", "stored 1"]);
  equal(await test.first, "outcome-unknown");
});

Deno.test("LogWriter keeps the order of its requests over several batches", async () => {
  await using test = await createTestLog();
  const texts = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(50_000, "."));
  const receipts = await Promise.all(texts.map((text) => appendText(test, text)));
  deepEqual(receipts.map(({ first }) => first), texts.map((_, i) => i + 1));
  deepEqual(await readTexts(test.log, "p_a"), texts);
  equal(test.kv.commits, Math.ceil(40 / 12));
});

for (
  const [name, ms, last] of [["until its deadline", 10, "stored 15"], [
    "longer",
    11,
    "overloaded",
  ]] as const
) {
  Deno.test(`LogWriter answers a request that waited ${name}: ${last}`, async () => {
    await using test = await createWrittenLog();
    const commits = [pause("call"), pause("call")];
    for (const { fault } of commits) test.kv.script("commit", fault);
    const first = appendText(test, "1");
    await commits[0]!.reached;
    // Twelve fit into one commit; the thirteenth has to wait for another.
    const texts = Array.from({ length: 13 }, (_, i) => `${i}`.padEnd(50_000, "."));
    const answers = texts.map((text) => outcomeOf(appendText(test, text)));
    await commits[0]!.reached;
    test.clock.advance(TIMEOUT_MS - 10);
    commits[0]!.release();
    await commits[1]!.reached;
    test.clock.advance(ms);
    commits[1]!.release();
    equal((await first).first, 2);
    deepEqual(await Promise.all(answers), [
      ...Array.from({ length: 12 }, (_, i) => `stored ${i + 3}`),
      last,
    ]);
    equal((await readTexts(test.log, "p_a")).length, last === "overloaded" ? 14 : 15);
  });
}

Deno.test("LogWriter commits a request that is larger than a commit of several may be", async () => {
  await using test = await createWrittenLog();
  // Its estimated size is three bytes for each of its channels' characters.
  const events = Array.from({ length: 1000 }, () => textEvent("".padEnd(300), "c".repeat(128)));
  deepEqual((await test.log.append("p_a", events)).count, 1000);
});

Deno.test("LogWriter commits at most 400 requests at once", async () => {
  await using test = await createWrittenLog();
  const commit = pause("call");
  test.kv.script("commit", commit.fault);
  const first = appendText(test, "first");
  await commit.reached;
  const { commits } = test.kv;
  const answers = Array.from({ length: 401 }, (_, i) => appendText(test, `${i}`));
  commit.release();
  await Promise.all([first, ...answers]);
  equal(test.kv.commits - commits, 1 + 2);
});

Deno.test("LogWriter yields for at most 500 ms, however slow the store is", async () => {
  await using test = await createWriter({ shared: true });
  const slow = pause("call");
  test.kv.script("commit", ...Array(7).fill(passThrough), slow.fault);
  const answers = Promise.all(
    Array.from(
      { length: 9 },
      (_, i) => test.writer.append(requestOf([textEvent(`${i}`)]), 640 * 1024),
    ),
  );
  await slow.reached;
  test.clock.advance(1000);
  slow.release();
  await until(() => test.kv.commits >= 8);
  await flush();
  test.clock.advance(499);
  await flush();
  equal(test.kv.calls.commit, 8);
  test.clock.advance(1);
  await flush();
  equal(test.kv.calls.commit, 9);
  await answers;
});

for (const shared of [true, false]) {
  const what = shared
    ? "yields after eight commits on a shared store"
    : "never yields on its own store";
  Deno.test(`LogWriter ${what}`, async () => {
    await using test = await createWriter({ shared });
    // Each is as large as a commit may be.
    const answers = Promise.all(
      Array.from(
        { length: 10 },
        (_, i) => test.writer.append(requestOf([textEvent(`${i}`)]), 640 * 1024),
      ),
    );
    if (shared) {
      await until(() => test.kv.commits >= 8);
      await flush();
      equal(test.kv.calls.commit, 8);
      test.clock.advance(1);
    }
    equal((await answers).at(-1)!.first, 10);
    equal(test.clock.liveTimers, 0);
  });
}

// Closing

Deno.test("LogWriter.close() ends the pause of an unknown outcome at once", async () => {
  await using test = await createWrittenLog();
  await leaveOutcomeUnknown(test, "1", "call");
  equal(test.clock.liveTimers, 1);
  await test.log.close();
  equal(test.clock.liveTimers, 0);
});

Deno.test("LogWriter.close() refuses requests that wait for another with their key", async () => {
  await using test = await createBusyWriter("0", ["1", "2"]);
  const closed = test.writer.close();
  deepEqual(await Promise.all(test.answers), ["draining", "draining"]);
  test.commit.release();
  equal(await test.first, "stored 1");
  await closed;
});

Deno.test("LogWriter.close() waits for the deadline of a commit in flight", async () => {
  await using test = await createWrittenLog();
  test.kv.script("commit", hang);
  const answer = appendText(test, "1");
  await until(() => test.kv.calls.commit === 2);
  const closed = test.log.close();
  await rejectionAtDeadline(test, answer);
  await closed;
  equal(test.clock.liveTimers, 0);
});

// Random faults

const commitFaults: Record<string, () => Fault> = {
  passes: () => passThrough,
  hangs: () => hang,
  standsAndHangs: () => commitThenHang,
  refuses: () => failCheck,
  standsAndRefuses: () => commitThenFailCheck,
  locked: () => fail(databaseLocked),
  standsAndThrows: () => commitThenFail(),
};
const readFaults: Record<string, () => Fault> = {
  passes: () => passThrough,
  hangs: () => hang,
  throws: () => fail(),
};

const anyFaults = (names: string[], maxLength: number) =>
  fc.array(fc.oneof({ arbitrary: fc.constant("passes"), weight: 3 }, fc.constantFrom(...names)), {
    maxLength,
  });

const PIPELINES = ["p_a", "p_b", "p_c"];

/** Appends of one caller to one pipeline, one after the other, to one of two logs. */
const anyCaller = fc.record({
  side: fc.constantFrom(0, 1),
  pipeline: fc.constantFrom(...PIPELINES),
  appends: fc.array(fc.record({ size: fc.constantFrom(1, 1, 3, 60), keyed: fc.boolean() }), {
    minLength: 1,
    maxLength: 4,
  }),
});

Deno.test("LogWriter keeps all its promises with random faults of the store", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyCaller, { minLength: 1, maxLength: 8 }),
      // `late` is a commit that is applied after any number of further calls.
      anyFaults([...Object.keys(commitFaults), "late"], 12),
      anyFaults(Object.keys(readFaults), 6),
      anyFaults(Object.keys(readFaults), 10),
      async (callers, commits, heads, records) => {
        await using store = await memoryStore();
        const options = { ...store, timeoutMs: 600, maxWaitingBytes: 40_000, random: () => 0.5 };
        await using one = await createTestLog(options);
        await using two = await createTestLog({ ...options, clock: one.clock });
        const logs = [one, two];
        const late: (() => void)[] = [];
        const faultOf = (name: string): Fault => {
          if (name !== "late") return (commitFaults[name] ?? readFaults[name])!();
          const held = pause("call");
          late.push(held.release);
          return held.fault;
        };
        commits.forEach((name, i) => logs[i % 2]!.kv.script("commit", faultOf(name)));
        heads.forEach((name, i) => logs[i % 2]!.kv.script("get", faultOf(name)));
        records.forEach((name, i) => logs[i % 2]!.kv.script("getMany", faultOf(name)));

        /** Answers by the text of a request. */
        const answers = new Map<string, string>();
        const work = callers.map(async ({ side, pipeline, appends }, caller) => {
          for (const [i, { size, keyed }] of appends.entries()) {
            const text = `${caller}:${i}`;
            const events = Array.from(
              { length: size },
              (_, n) => textEvent(`${text}:${n}`.padEnd(n * 10)),
            );
            for (let tries = 0; !answers.has(text) || (keyed && tries < 50); tries++) {
              // A retry goes to the other isolate.
              const { log } = logs[(side + tries) % 2]!;
              try {
                const receipt = await log.append(pipeline, events, {
                  key: keyed ? text : undefined,
                });
                answers.set(text, `${receipt.first}`);
                break;
              } catch (error) {
                if (!(error instanceof RunnelError)) throw error;
                answers.set(text, error.type);
                late.shift()?.();
                await delay(one.clock, 100);
              }
            }
          }
        });
        await advanceLogsUntil([one, two], Promise.all(work));
        for (const release of late) release();
        await advanceLogsUntil(logs, Promise.all([waitForWriters(one), waitForWriters(two)]));

        await using reader = await createTestLog(store);
        const stored = new Map<string, number[]>();
        for (const pipeline of PIPELINES) {
          const page = await reader.log.readAfter(pipeline, 0, Infinity);
          equal(page?.sequence ?? 0, page?.events.length ?? 0);
          for (const { sequence, payload } of page?.events ?? []) {
            const [caller, i, n] = new TextDecoder().decode(payload).split(":").map(Number);
            equal(callers[caller!]!.pipeline, pipeline);
            const request = `${caller}:${i}`;
            const places = stored.get(request) ?? [];
            // A request is stored as a whole, contiguous, in order and once.
            equal(places.length, n);
            if (n! > 0) equal(sequence, places.at(-1)! + 1);
            stored.set(request, [...places, sequence]);
          }
        }
        callers.forEach(({ appends }, caller) => {
          let last = 0;
          appends.forEach(({ size, keyed }, i) => {
            const places = stored.get(`${caller}:${i}`) ?? [];
            const answer = answers.get(`${caller}:${i}`)!;
            if (places.length > 0) equal(places.length, size);
            if (/^\d+$/.test(answer)) equal(places[0], Number(answer));
            else if (keyed) ok(false, `not stored after 50 tries: ${answer}`);
            else if (answer !== "outcome-unknown") deepEqual(places, []);
            if (places.length === 0) return;
            ok(places[0]! > last);
            last = places.at(-1)!;
          });
        });
        const heard = [one, two].flatMap(({ commits }) => committedTexts(commits));
        equal(new Set(heard).size, heard.length);
        deepEqual(one.log.pending.waitingBytes + two.log.pending.waitingBytes, 0);
      },
    ),
    repetitions(60),
  );
});

function requestOf(events: NewEvent[], idempotency?: IdempotencyToken): AppendRequest {
  return { events, end: false, idempotency, part: undefined };
}
