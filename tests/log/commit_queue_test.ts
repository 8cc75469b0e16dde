import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { planCommit } from "../../lib/log/commit.ts";
import { CommitQueue } from "../../lib/log/commit_queue.ts";
import { newHead } from "../../lib/log/head.ts";
import { hashIdempotency } from "../../lib/log/idempotency.ts";
import { headKey } from "../../lib/log/keys.ts";
import { readSegmentHeader } from "../../lib/log/segment.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import {
  commitThenFail,
  commitThenFailCheck,
  commitThenHang,
  fail,
  failCheck,
  type Fault,
  FaultyKv,
  hang,
  pause,
  runThenPassThrough,
} from "../support/fakes/kv.ts";
import {
  advanceLogsUntil,
  committedTexts,
  createTestLog,
  memoryStore,
  readTexts,
  type TestLog,
  type TestLogOptions,
  textEvent,
  TIMEOUT_MS,
} from "../support/log.ts";
import { flush, until } from "../support/wait.ts";
import { LOG_UNAVAILABLE, OUTCOME_UNKNOWN } from "../support/written_log.ts";

/** Number of operations in flight to a file. */
const PLACES = 2;

const names = (count: number) => Array.from({ length: count }, (_, index) => `p_${index}`);

const append = ({ log }: TestLog, pipeline: string, text: string, key?: string) =>
  log.append(pipeline, [textEvent(text)], { key });

/** Creates a log with an event "0" in each of some pipelines, so that their heads are cached. */
async function createLog(pipelines: readonly string[], options: TestLogOptions = {}) {
  const test = await createTestLog(options);
  for (const pipeline of pipelines) await append(test, pipeline, "0");
  test.kv.operations.length = 0;
  return test;
}

/** Occupies the store, so that all further commits wait, until the result is called. */
async function occupy(test: TestLog, places = PLACES): Promise<() => Promise<void>> {
  const held = Array.from({ length: places }, () => pause("call"));
  const answers: Promise<unknown>[] = [];
  for (const [index, { fault, reached }] of held.entries()) {
    test.kv.script("commit", fault);
    answers.push(append(test, `p_busy${index}`, "busy"));
    await reached;
  }
  test.kv.operations.length = 0;
  return async () => {
    for (const { release } of held) release();
    await Promise.all(answers);
  };
}

/** The pipelines of each operation that was committed, in order. */
function pipelinesOf({ kv }: Pick<TestLog, "kv">): string[][] {
  return kv.operations.map(({ entries }) =>
    entries.filter(({ key }) => key[0] === "head").map(({ key }) => String(key[1]))
  );
}

/** The tokens of the commits of each pipeline, in the order in which they were sent. */
function tokensOf({ kv }: TestLog): Map<string, bigint[]> {
  const tokens = new Map<string, bigint[]>();
  for (const { key, value } of kv.operations.flatMap(({ entries }) => entries)) {
    if (key[0] !== "log") continue;
    const pipeline = String(key[1]);
    const { token } = readSegmentHeader(value as Uint8Array);
    tokens.set(pipeline, [...tokens.get(pipeline) ?? [], token]);
  }
  return tokens;
}

// Groups

Deno.test("CommitQueue sends a lone commit at once", async () => {
  await using test = await createLog(["p_a"]);
  await append(test, "p_a", "1");
  deepEqual(pipelinesOf(test), [["p_a"]]);
  equal(test.clock.liveTimers, 0);
});

Deno.test("CommitQueue sends commits together that are planned in one turn", async () => {
  const pipelines = names(5);
  await using test = await createLog(pipelines);
  await Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
  deepEqual(pipelinesOf(test), [pipelines]);
});

Deno.test("CommitQueue sends what waits for a place together, in one operation", async () => {
  const pipelines = names(50);
  await using test = await createLog([...pipelines, "p_busy0", "p_busy1"]);
  const release = await occupy(test);
  const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, pipeline)));
  await flush();
  equal(test.kv.operations.length, 0);
  await release();
  deepEqual((await answers).map(({ first }) => first), pipelines.map(() => 2));
  deepEqual(pipelinesOf(test), [pipelines]);
  for (const pipeline of pipelines) {
    deepEqual(await readTexts(test.log, pipeline), ["0", pipeline]);
  }
  equal(test.clock.liveTimers, 0);
});

Deno.test("CommitQueue keeps two operations in flight to a file, and ten to a server", async () => {
  for (const [remote, places] of [[false, 2], [true, 10]] as const) {
    const busy = Array.from({ length: places }, (_, index) => `p_busy${index}`);
    await using test = await createLog([...busy, "p_a"], { remote });
    const release = await occupy(test, places);
    const answer = append(test, "p_a", "1");
    await flush();
    equal(test.kv.operations.length, 0);
    await release();
    await answer;
  }
});

const sizes: [what: string, options: TestLogOptions, pipelines: string[], groups: number[]][] = [
  ["100 checks on a file", {}, names(120), [100, 20]],
  ["10 checks on a server", { remote: true }, names(25), [10, 10, 5]],
];
for (const [what, options, pipelines, groups] of sizes) {
  Deno.test(`CommitQueue makes groups of at most ${what}`, async () => {
    const places = options.remote ? 10 : PLACES;
    const busy = Array.from({ length: places }, (_, index) => `p_busy${index}`);
    await using test = await createLog([...pipelines, ...busy], options);
    const release = await occupy(test, places);
    const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
    await flush();
    await release();
    await answers;
    deepEqual(pipelinesOf(test).map(({ length }) => length), groups);
    deepEqual(pipelinesOf(test).flat(), pipelines);
  });
}

Deno.test("CommitQueue counts the three checks of a first event", async () => {
  const pipelines = names(7);
  const busy = Array.from({ length: 10 }, (_, index) => `p_busy${index}`);
  await using test = await createLog(busy, { remote: true });
  const release = await occupy(test, 10);
  const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
  await until(() => test.kv.busy === 0);
  await flush();
  await release();
  await answers;
  const checks = test.kv.operations.map(({ checks }) => checks);
  ok(checks.every((count) => count <= 10), `${checks}`);
  ok(checks.length < pipelines.length, `${checks}`);
  deepEqual(pipelinesOf(test).flat().toSorted(), pipelines);
});

/** Plans the first commit of a pipeline. */
async function plan(pipeline: string, texts: string[], keyed: boolean) {
  const requests = await Promise.all(texts.map(async (text) => {
    const events = [textEvent(text)];
    const idempotency = keyed ? await hashIdempotency(text, events) : undefined;
    return { events, end: false, idempotency, part: undefined };
  }));
  const checks = [{ key: headKey(pipeline), versionstamp: null }];
  const retention = { events: 1000, ms: 60_000, bytes: 1e6 };
  return planCommit(pipeline, { head: newHead("e", 0), checks }, requests, {
    now: 0,
    retention,
    appends: new Map(),
  });
}

Deno.test("CommitQueue stays within the bytes and mutations of an operation", async () => {
  const [clock, kv] = [new FakeClock(), new FaultyKv(await Deno.openKv(":memory:"))];
  const open = () => Promise.resolve(kv);
  using connection = await KvConnection.open({
    open,
    runtime: { clock, report() {} },
    timeoutMs: TIMEOUT_MS,
    remote: false,
  });
  const queue = new CommitQueue({ kv: connection, runtime: { clock }, metrics: createMetrics() });
  const options = { until: TIMEOUT_MS, alone: false, onSend() {} };
  for (
    const [texts, keyed, groups] of [
      [["".padEnd(40_000, ".")], false, [12, 12, 6]],
      // 30 with the head and the segment: 32 each.
      [Array.from({ length: 30 }, (_, index) => `${index}`), true, [12, 12, 6]],
    ] as const
  ) {
    const pipelines = names(30).map((name) => `${name}_${keyed}`);
    const plans = await Promise.all(pipelines.map((name) => plan(name, [...texts], keyed)));
    kv.operations.length = 0;
    const results = await Promise.all(plans.map((plan) => queue.commit(plan, options)));
    ok(results.every(({ ok }) => ok));
    deepEqual(pipelinesOf({ kv }).map(({ length }) => length), groups);
  }
});

Deno.test("CommitQueue sends a large commit alone, and the others around it together", async () => {
  await using test = await createLog(["p_a", "p_large", "p_b", "p_busy0", "p_busy1"]);
  const release = await occupy(test);
  const answers = [
    append(test, "p_a", "1"),
    test.log.append("p_large", Array(2).fill(textEvent("".padEnd(40_000, ".")))),
    append(test, "p_b", "1"),
  ];
  await flush();
  await release();
  await Promise.all(answers);
  deepEqual(pipelinesOf(test), [["p_a", "p_b"], ["p_large"]]);
});

// Groups that are refused or fail

Deno.test("CommitQueue: the commits of a refused group are sent again alone, tokens and all", async () => {
  const pipelines = names(4);
  await using test = await createLog(pipelines);
  test.kv.script("commit", failCheck);
  const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
  deepEqual((await test.advanceUntil(answers)).map(({ first }) => first), [2, 2, 2, 2]);
  deepEqual(pipelinesOf(test)[0], pipelines);
  deepEqual(pipelinesOf(test).slice(1).flat().toSorted(), pipelines);
  equal(test.kv.operations.length, 1 + pipelines.length);
  for (const [first, ...others] of tokensOf(test).values()) deepEqual(others, [first]);
  for (const pipeline of pipelines) deepEqual(await readTexts(test.log, pipeline), ["0", "1"]);
});

Deno.test("CommitQueue: a pipeline that another writer was faster with does not fail the others", async () => {
  const pipelines = names(4);
  await using store = await memoryStore();
  await using other = await createTestLog(store);
  await using test = await createLog(pipelines, store);
  await append(other, "p_1", "faster");
  const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
  const receipts = await advanceLogsUntil([test, other], answers);
  deepEqual(receipts.map(({ first }) => first), [2, 3, 2, 2]);
  deepEqual(await readTexts(test.log, "p_1"), ["0", "faster", "1"]);
  // It is sent alone for a second; the others are a group at once.
  for (const [ms, groups] of [[0, [3, 1]], [1000, [4]]] as const) {
    test.clock.advance(ms);
    test.kv.operations.length = 0;
    await Promise.all(pipelines.map((pipeline) => append(test, pipeline, `after ${ms}`)));
    deepEqual(pipelinesOf(test).map(({ length }) => length), groups);
  }
});

const lostAnswers: [what: string, fault: Fault, stored: boolean][] = [
  ["is applied and refused", commitThenFailCheck, true],
  ["is applied and throws", commitThenFail(), true],
  ["throws", fail(), false],
];
for (const [what, fault, stored] of lostAnswers) {
  for (const key of [undefined, "k"]) {
    const how = key ? "with a key" : "without a key";
    Deno.test(`CommitQueue: each pipeline of a group that ${what} stores its event ${how} once`, async () => {
      const pipelines = names(4);
      await using test = await createLog([...pipelines, "p_busy0", "p_busy1"]);
      test.commits.length = 0;
      const release = await occupy(test);
      test.kv.script("commit", fault);
      const reads = test.kv.calls.getMany + (key ? pipelines.length : 0);
      const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1", key)));
      await until(() => test.kv.calls.getMany >= reads && test.kv.busy === 0);
      await flush();
      await release();
      const receipts = await test.advanceUntil(answers);
      deepEqual(
        receipts.map(({ first, replayed }) => [first, replayed]),
        Array(4).fill([2, false]),
      );
      equal(test.kv.operations.length, stored ? 1 : 5);
      for (const pipeline of pipelines) deepEqual(await readTexts(test.log, pipeline), ["0", "1"]);
      deepEqual(committedTexts(test.commits).toSorted(), [..."1111", "busy", "busy"]);
    });
  }
}

for (
  const [what, fault, stored] of [["applied", commitThenHang, true], ["lost", hang, false]] as const
) {
  Deno.test(`CommitQueue: each pipeline settles its part of a group that is ${what} without an answer`, async () => {
    const pipelines = names(4);
    await using test = await createLog(pipelines);
    test.kv.script("commit", fault);
    const answers = pipelines.map((pipeline) => append(test, pipeline, "1"));
    const refused = answers.map((answer) => rejects(answer, OUTCOME_UNKNOWN));
    await until(() => test.kv.operations.length === 1);
    await flush();
    test.clock.advance(TIMEOUT_MS);
    await Promise.all(refused);
    equal(test.kv.operations.length, 1);
    const next = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "2")));
    await test.advanceUntil(next);
    const texts = stored ? ["0", "1", "2"] : ["0", "2"];
    for (const pipeline of pipelines) deepEqual(await readTexts(test.log, pipeline), texts);
    equal(committedTexts(test.commits).length, pipelines.length * texts.length);
  });
}

Deno.test("CommitQueue: no part of a group that is late is applied once it was fenced out", async () => {
  const pipelines = names(3);
  await using test = await createLog(pipelines);
  const late = pause("call");
  test.kv.script("commit", late.fault);
  const refused = pipelines.map((pipeline) =>
    rejects(append(test, pipeline, "late"), OUTCOME_UNKNOWN)
  );
  await late.reached;
  test.clock.advance(TIMEOUT_MS);
  await Promise.all(refused);
  // The outcome of one is resolved, which fences out the others with it.
  await test.advanceUntil(append(test, "p_0", "1"));
  late.release();
  deepEqual(await late.done, { ok: false });
  await test.advanceUntil(Promise.all(pipelines.map((pipeline) => append(test, pipeline, "2"))));
  deepEqual(await readTexts(test.log, "p_0"), ["0", "1", "2"]);
  for (const pipeline of ["p_1", "p_2"]) {
    deepEqual(await readTexts(test.log, pipeline), ["0", "2"]);
  }
});

// Deadlines

Deno.test("CommitQueue: a commit that had no place until its deadline was not stored", async () => {
  await using test = await createLog(["p_busy0", "p_busy1"]);
  const read = pause("call");
  test.kv.script("get", read.fault);
  let error: unknown;
  const answer = append(test, "p_a", "1").catch((reason) => error = reason);
  await read.reached;
  test.clock.advance(1000);
  const release = await occupy(test);
  read.release();
  await until(() => test.kv.busy === 0);
  await flush();
  test.clock.advance(TIMEOUT_MS - 1000 - 1);
  await flush();
  equal(error, undefined);
  test.clock.advance(1);
  await answer;
  await rejects(() => Promise.reject(error), LOG_UNAVAILABLE);
  await release();
  await flush();
  equal(test.kv.operations.length, 0, "it was never sent");
  // Its pipeline takes events at once: no outcome is unknown.
  equal((await append(test, "p_a", "2")).first, 1);
  equal(test.kv.operations.length, 1);
});

Deno.test("CommitQueue: a deadline of one in a group leaves the others time to try again", async () => {
  await using test = await createLog(["p_b", "p_busy0", "p_busy1"]);
  const read = pause("call");
  test.kv.script("get", read.fault);
  const first = append(test, "p_a", "1");
  const late = rejects(first, OUTCOME_UNKNOWN);
  await read.reached;
  test.clock.advance(TIMEOUT_MS - 100);
  const release = await occupy(test);
  const other = append(test, "p_b", "1");
  read.release();
  await until(() => test.kv.busy === 0);
  await flush();
  test.kv.script("commit", hang);
  await release();
  await flush();
  deepEqual(pipelinesOf(test).map((group) => group.toSorted()), [["p_a", "p_b"]]);
  test.clock.advance(100);
  await late;
  equal((await test.advanceUntil(other)).first, 2);
  await test.advanceUntil(append(test, "p_a", "2"));
  deepEqual(await readTexts(test.log, "p_a"), ["2"]);
  deepEqual(await readTexts(test.log, "p_b"), ["0", "1"]);
});

Deno.test("CommitQueue: EventLog.close() waits for a group and for what waits behind it", async () => {
  const pipelines = names(3);
  const test = await createLog([...pipelines, "p_busy0", "p_busy1"]);
  const release = await occupy(test);
  const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
  await flush();
  let closed = false;
  const closing = test.log.close().then(() => closed = true);
  await flush();
  equal(closed, false);
  await release();
  deepEqual((await answers).map(({ first }) => first), [2, 2, 2]);
  await closing;
  equal(test.clock.liveTimers, 0);
});

Deno.test("CommitQueue: a clear during a group refuses it, and no event is lost", async () => {
  const pipelines = names(3);
  await using store = await memoryStore();
  await using other = await createTestLog(store);
  await using test = await createLog(pipelines, store);
  test.kv.script("commit", runThenPassThrough(() => other.log.clear("p_1")));
  const answers = Promise.all(pipelines.map((pipeline) => append(test, pipeline, "1")));
  const receipts = await advanceLogsUntil([test, other], answers);
  deepEqual(receipts.map(({ first }) => first), [2, 2, 2]);
  deepEqual(await readTexts(test.log, "p_1"), ["1"]);
  deepEqual(await readTexts(test.log, "p_0"), ["0", "1"]);
});
