import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  ok,
  strictEqual as equal,
} from "node:assert/strict";
import { delay } from "../../lib/base/clock.ts";
import { GRACE_MS } from "../../lib/log/deletions.ts";
import { COUNTERS } from "../../lib/log/unwritten.ts";
import { fail, type Fault, passThrough, pause } from "../support/fakes/kv.ts";
import { SeededRandom } from "../support/generators/random.ts";
import {
  advanceLogsUntil,
  createTestLog,
  memoryStore,
  readTexts,
  storedKeys,
  type TestLog,
  textEvent,
} from "../support/log.ts";
import { seeds } from "../support/model/repetitions.ts";
import { until } from "../support/wait.ts";

const NEVER = { expireMs: Infinity };

/** Deletes the pipeline, and waits until the job has ended. */
async function deleteAll(test: TestLog, pipeline = "p_a"): Promise<void> {
  await test.log.delete(pipeline);
  await finish(test);
}

/** Waits until all jobs have ended. */
async function finish(test: TestLog): Promise<void> {
  await test.advanceUntil(until(() => test.log.pending.sweeps === 0));
}

/** Publishes a text, to a writer whose head may be that of before a deletion. */
function append({ log, advanceUntil }: TestLog, text: string, key?: string) {
  return advanceUntil(log.append("p_a", [textEvent(text)], { key }));
}

/** Returns the first parts of all keys but those that a store always may have. */
async function leftovers({ kv }: TestLog): Promise<unknown[]> {
  const keys = await storedKeys(kv.inner);
  return keys.filter(([kind]) => kind !== "epoch-secret").map(([kind]) => kind);
}

Deno.test("EventLog.delete() begins a new epoch at once, in which sequences go on", async () => {
  await using test = await createTestLog();
  const before = await test.log.append("p_a", [textEvent("old"), textEvent("text")]);
  const head = (await test.log.delete("p_a"))!;
  notEqual(head.epoch, before.epoch);
  deepEqual(await readTexts(test.log, "p_a"), []);
  const after = await append(test, "new");
  deepEqual(after, { epoch: head.epoch, first: 3, count: 1, replayed: false });
  await finish(test);
  deepEqual(await readTexts(test.log, "p_a"), ["new"]);
  deepEqual((await leftovers(test)).sort(), ["head", "log"]);
});

Deno.test("EventLog.delete() leaves nothing but a counter", async () => {
  await using test = await createTestLog();
  for (let i = 0; i < 250; i++) await append(test, `${i}`, `key ${i}`);
  await test.log.append("p_ab", [textEvent("other")], { key: "key 1" });
  await deleteAll(test);
  deepEqual((await leftovers(test)).sort(), ["generation", "head", "log", "once"]);
  equal(await test.log.head("p_a"), null);
  deepEqual(await readTexts(test.log, "p_ab"), ["other"]);
});

Deno.test("EventLog.delete() of many pipelines leaves fewer records than there are counters", async () => {
  await using test = await createTestLog();
  for (let i = 0; i < 300; i++) await test.log.append(`p_${i}`, [textEvent("text")]);
  for (let i = 0; i < 300; i++) await test.log.delete(`p_${i}`);
  await finish(test);
  const left = await storedKeys(test.kv.inner);
  ok(left.every(([kind, counter]) => kind !== "generation" || Number(counter) < COUNTERS));
  deepEqual(new Set(left.map(([kind]) => kind)), new Set(["epoch-secret", "generation"]));
});

Deno.test("EventLog.delete() gives no epoch twice, however often a pipeline comes back", async () => {
  await using test = await createTestLog();
  const epochs = new Set<string>();
  for (let i = 1; i <= 5; i++) {
    epochs.add((await test.log.ensureHead("p_a")).epoch);
    const { epoch, first } = await append(test, "text");
    equal(first, 1);
    epochs.add(epoch);
    equal(epochs.size, i);
    await deleteAll(test);
  }
});

Deno.test("EventLog.delete() changes nothing if there is no event", async () => {
  await using test = await createTestLog();
  equal(await test.log.delete("p_a"), null);
  const { epoch } = await test.log.ensureHead("p_a");
  equal(await test.log.delete("p_a"), null);
  equal((await test.log.ensureHead("p_a")).epoch, epoch);
  deepEqual(await leftovers(test), []);
});

Deno.test("EventLog.delete() forgets idempotency keys, the swept and the others", async () => {
  await using test = await createTestLog();
  await append(test, "1", "k");
  await test.log.delete("p_a");
  const again = await append(test, "2", "k");
  deepEqual([again.first, again.replayed], [2, false]);
  await finish(test);
  // The key that was used again since the deletion counts.
  equal((await append(test, "2", "k")).replayed, true);
});

Deno.test("EventLog.delete() keeps the head of a pipeline that has a subscriber by then", async () => {
  await using test = await createTestLog();
  await append(test, "1");
  await test.log.delete("p_a");
  const { epoch } = await test.log.ensureHead("p_a");
  await finish(test);
  deepEqual(await leftovers(test), ["head"]);
  const receipt = await append(test, "2");
  deepEqual([receipt.epoch, receipt.first], [epoch, 2]);
});

Deno.test("EventLog.delete() removes the head when it is called again after the lease", async () => {
  await using test = await createTestLog();
  await append(test, "1");
  await test.log.delete("p_a");
  await test.log.ensureHead("p_a");
  await finish(test);
  test.clock.advance(49 * 60 * 60 * 1000);
  await deleteAll(test);
  deepEqual(await leftovers(test), ["generation"]);
});

// Crashes

for (let step = 1; step <= 8; step++) {
  Deno.test(`EventLog.delete() is finished after a crash at commit ${step}, without old text`, async () => {
    await using store = await memoryStore();
    const first = await createTestLog(store);
    for (let i = 0; i < 120; i++) await append(first, "old", `${i}`);
    const { epoch } = (await first.log.head("p_a"))!;
    let commits = 0;
    first.kv.fallback = (call) => call === "commit" && ++commits >= step ? fail() : passThrough;
    const deleted = await first.advanceUntil(first.log.delete("p_a").catch(() => "failed"));
    if (deleted === "failed") {
      equal(step, 1);
      deepEqual((await readTexts(first.log, "p_a")).length, 120);
    }
    await first.advanceUntil(
      until(() => commits >= step || first.log.pending.sweeps === 0),
    );
    await first.log.close();

    await using second = await createTestLog({ ...store, upkeep: NEVER });
    if (deleted === "failed") await second.log.delete("p_a");
    deepEqual(await readTexts(second.log, "p_a"), []);
    const receipt = await append(second, "new", "1");
    deepEqual([receipt.replayed, receipt.epoch === epoch], [false, false]);
    await finish(second);
    deepEqual(await readTexts(second.log, "p_a"), ["new"]);
    equal((await append(second, "new", "1")).replayed, true);
    await deleteAll(second);
    deepEqual(await leftovers(second), ["generation"]);
  });
}

Deno.test("EventLog.delete() reports a failure, and goes on a minute later", async () => {
  await using test = await createTestLog();
  await append(test, "1");
  test.kv.script("next", fail());
  await test.log.delete("p_a");
  await until(() => test.reports.length === 1);
  deepEqual(test.reports, ["Cannot delete what is left of deleted pipelines"]);
  await finish(test);
  deepEqual(await leftovers(test), ["generation"]);
});

// Steps that are applied late

/** Holds the next commit of a log until the pipeline was removed and written again by another. */
async function holdUntilRewritten(
  begin: (test: TestLog) => Promise<unknown>,
  ...before: Fault[]
): Promise<void> {
  await using store = await memoryStore();
  await using other = await createTestLog(store);
  await using test = await createTestLog({ ...store, timeoutMs: 15_000 });
  for (let i = 1; i <= 3; i++) await append(test, "old", `${i}`);
  const held = pause("call");
  test.kv.script("commit", ...before, held.fault);
  const work = begin(test);
  await held.reached;
  await other.log.delete("p_a");
  await finish(other);
  equal(await other.log.head("p_a"), null);
  for (let i = 1; i <= 3; i++) await append(other, `${i}`, `${i}`);
  held.release();
  await held.done;
  await advanceLogsUntil([test, other], work);
  const texts = await readTexts(other.log, "p_a");
  deepEqual(texts.slice(0, 3), ["1", "2", "3"]);
  ok(!texts.includes("old"));
  equal((await append(other, "1", "1")).replayed, true);
}

Deno.test("A sweep that is applied late deletes no event of a log that began anew", async () => {
  await holdUntilRewritten(async (test) => {
    // The clear itself is not held, but its sweep.
    await test.log.clear("p_a");
    await until(() => test.log.pending.sweeps === 0);
  }, passThrough);
});

Deno.test("A publish that is applied late is stored in the log that began anew, once", async () => {
  await holdUntilRewritten(({ log }) => log.append("p_a", [textEvent("late")]));
});

Deno.test("A clear that is applied late clears the log that began anew, or nothing", async () => {
  await using store = await memoryStore();
  await using other = await createTestLog(store);
  await using test = await createTestLog({ ...store, timeoutMs: 15_000 });
  await append(test, "old");
  const held = pause("call");
  test.kv.script("commit", held.fault);
  const clear = test.log.clear("p_a");
  await held.reached;
  await deleteAll(other);
  const { epoch } = await append(other, "new");
  held.release();
  const head = await advanceLogsUntil([test, other], clear);
  deepEqual([head!.epoch, head!.oldest], [epoch, 2]);
});

Deno.test("A job that is carried out late deletes nothing of a log that began anew", async () => {
  for (const kind of ["log", "once"]) {
    await using store = await memoryStore();
    await using other = await createTestLog(store);
    await using test = await createTestLog({ ...store, timeoutMs: 15_000 });
    for (let i = 1; i <= 3; i++) await append(test, "old", `${i}`);
    const held = pause("call");
    // The deletion itself, and the segments, or the idempotency records after them.
    const faults: Fault[] = kind === "log" ? [passThrough] : [passThrough, passThrough];
    test.kv.script("commit", ...faults, held.fault);
    await test.log.delete("p_a");
    await held.reached;
    await deleteAll(other);
    for (let i = 1; i <= 3; i++) await append(other, `${i}`, `${i}`);
    held.release();
    await held.done;
    await advanceLogsUntil([test, other], until(() => test.log.pending.sweeps === 0));
    deepEqual(await readTexts(other.log, "p_a"), ["1", "2", "3"]);
    equal((await append(other, "2", "2")).replayed, true);
  }
});

// Everything at once

Deno.test("Deletes, publishes and clears of two logs bring no old text back and lose no new event", async () => {
  let epochsOfAll = 0;
  for (const seed of seeds(6)) {
    const { next: random } = new SeededRandom(seed);
    await using store = await memoryStore();
    const logs = [await createTestLog(store), await createTestLog(store)];
    const ids = new Map<string, string>();
    const epochs = new Set<string>();
    let accepted: string[] = [];
    const publish = async ({ log }: TestLog, text: string) => {
      const { epoch, first } = await log.append("p_a", [textEvent(text)], { key: text });
      const id = `${epoch}-${first}`;
      ok(!ids.has(id), `${id} is ${ids.get(id)} and ${text}`);
      ids.set(id, text);
      epochs.add(epoch);
      accepted.push(text);
    };
    for (let round = 0; round < 12; round++) {
      const log = logs[Math.floor(random() * 2)]!;
      const texts = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, i) => `${round}.${i}`);
      await advanceLogsUntil(
        logs,
        Promise.all(texts.map((text) => publish(logs[Math.floor(random() * 2)]!, text))),
      );
      const present = await readTexts(log.log, "p_a");
      deepEqual(present.toSorted(), accepted.toSorted(), `seed ${seed}, round ${round}`);
      if (random() < 0.7) {
        const remove = random() < 0.8 ? () => log.log.delete("p_a") : () => log.log.clear("p_a");
        await advanceLogsUntil(logs, remove());
        accepted = [];
        deepEqual(await readTexts(logs[0]!.log, "p_a"), []);
      }
      const pause = random() < 0.5 ? 0 : random() * 3 * GRACE_MS;
      await advanceLogsUntil(logs, delay(logs[0]!.clock, pause));
    }
    epochsOfAll += epochs.size;
    for (const log of logs) await log.log.close();
  }
  // Of one seed they may be few.
  ok(epochsOfAll > 4 * seeds(6).length, `${epochsOfAll} epochs`);
});
