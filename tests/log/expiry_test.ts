import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { FakeClock } from "../support/fakes/clock.ts";
import { fail } from "../support/fakes/kv.ts";
import {
  createTestLog,
  memoryStore,
  readTexts,
  type SharedStore,
  storedKeys,
  type TestLog,
  textEvent,
} from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const EXPIRE_MS = 30 * DAY_MS;

/** Opens a log that deletes what has expired, on a store that was filled before. */
async function openUpkeep(store: SharedStore, clock: FakeClock, expireMs = EXPIRE_MS) {
  const test = await createTestLog({ ...store, clock, upkeep: { expireMs } });
  await until(() => test.kv.busy === 0 && test.log.pending.sweeps === 0);
  return test;
}

/** Waits until nothing goes on in any of the logs without their clock. */
async function settle(tests: readonly TestLog[]): Promise<void> {
  const sum = () => tests.reduce((total, { kv }) => total + kv.totalCalls, 0);
  for (let calls = -1; calls !== sum();) {
    calls = sum();
    for (let i = 0; i < 5; i++) {
      await until(() => tests.every(({ kv }) => kv.busy === 0));
      await flush();
    }
  }
}

/** Lets time pass, and a little more until all deletions have ended, in logs on one clock. */
async function pass(ms: number, test: TestLog, ...others: TestLog[]): Promise<void> {
  const tests = [test, ...others];
  for (let left = ms; left > 0 || tests.some(({ log }) => log.pending.sweeps > 0);) {
    left -= test.clock.advanceToNext(Math.max(left, 1000));
    await settle(tests);
  }
}

async function pipelines({ kv }: TestLog): Promise<string[]> {
  return (await storedKeys(kv.inner)).filter(([kind]) => kind === "head")
    .map(([, pipeline]) => String(pipeline));
}

Deno.test("Expiry deletes the pipelines that were not written for long, and no others", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using writer = await createTestLog({ ...store, clock });
  for (let i = 0; i < 450; i++) await writer.log.append(`p_${i}`, [textEvent("old")]);
  clock.advance(EXPIRE_MS - HOUR_MS);
  await writer.log.append("p_7", [textEvent("new")]);
  await using test = await openUpkeep(store, clock);
  await pass(10 * MINUTE_MS, test);
  equal((await pipelines(test)).length, 450, "none has expired yet");
  await pass(7 * HOUR_MS, test);
  deepEqual(await pipelines(test), ["p_7"]);
  deepEqual(await readTexts(test.log, "p_7"), ["old", "new"]);
  deepEqual(test.reports, []);
});

Deno.test("Expiry deletes nothing if pipelines never expire", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using writer = await createTestLog({ ...store, clock });
  await writer.log.append("p_a", [textEvent("old")]);
  clock.advance(1000 * DAY_MS);
  await using test = await openUpkeep(store, clock, Infinity);
  await pass(DAY_MS, test);
  deepEqual(await readTexts(test.log, "p_a"), ["old"]);
});

Deno.test("Expiry spares a pipeline with subscribers in any process, until they have left", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using writer = await createTestLog({ ...store, clock });
  for (const id of ["p_a", "p_b"]) await writer.log.append(id, [textEvent("old")]);
  await using test = await openUpkeep(store, clock, 2 * DAY_MS);
  for (let day = 0; day < 7; day += 0.25) {
    if (day < 4) await writer.log.renewLeases(["p_a", "p_c"]);
    await pass(DAY_MS / 4, test);
    if (day === 4.5) deepEqual(await pipelines(test), ["p_a"]);
  }
  await pass(DAY_MS, test);
  deepEqual(await pipelines(test), []);
});

Deno.test("Expiry.renewLeases() writes at most once in half a day", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [textEvent("1")]);
  const { commits } = test.kv;
  for (let hour = 0; hour < 48; hour++) {
    await test.log.renewLeases(["p_a"]);
    test.clock.advance(HOUR_MS);
  }
  equal(test.kv.commits - commits, 3);
});

Deno.test("Expiry removes the head of a deleted pipeline once its lease has ended", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using test = await openUpkeep(store, clock, Infinity);
  await test.log.append("p_a", [textEvent("1")]);
  await test.log.delete("p_a");
  await test.log.ensureHead("p_a");
  await pass(47 * HOUR_MS, test);
  deepEqual(await pipelines(test), ["p_a"]);
  await pass(7 * HOUR_MS, test);
  deepEqual(await pipelines(test), []);
});

Deno.test("Expiry deletes nothing at once after a clock that was set", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using test = await openUpkeep(store, clock);
  await test.log.append("p_a", [textEvent("1")]);
  const real = clock.now();
  clock.set(real + 365 * DAY_MS);
  await pass(10 * MINUTE_MS, test);
  deepEqual(await readTexts(test.log, "p_a"), ["1"]);
  clock.set(real);
  await pass(7 * HOUR_MS, test);
  await pass(7 * HOUR_MS, test);
  deepEqual(await readTexts(test.log, "p_a"), ["1"]);
});

Deno.test("Expiry goes on after a walk that failed, and reports it", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using writer = await createTestLog({ ...store, clock });
  await writer.log.append("p_a", [textEvent("old")]);
  clock.advance(EXPIRE_MS);
  await using test = await openUpkeep(store, clock);
  test.kv.script("next", fail());
  await pass(10 * MINUTE_MS, test);
  deepEqual(test.reports, ["Cannot look for pipelines that have expired"]);
  deepEqual(await pipelines(test), ["p_a"]);
  await pass(7 * HOUR_MS, test);
  deepEqual(await pipelines(test), []);
});

Deno.test("Expiry in two processes at once deletes each pipeline once", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  await using writer = await createTestLog({ ...store, clock });
  for (let i = 0; i < 20; i++) await writer.log.append(`p_${i}`, [textEvent("old")]);
  clock.advance(EXPIRE_MS + HOUR_MS);
  await using a = await openUpkeep(store, clock);
  await using b = await openUpkeep(store, clock);
  await pass(11 * MINUTE_MS, a, b);
  deepEqual(await pipelines(a), []);
  deepEqual([...a.reports, ...b.reports], []);
  equal(a.log.pending.sweeps + b.log.pending.sweeps, 0);
});
