import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { generationKey } from "../../lib/log/keys.ts";
import { COUNTERS, HeadReader, replaceSecret } from "../../lib/log/unwritten.ts";
import { databaseLocked, fail, FaultyKv, runThenPassThrough } from "../support/fakes/kv.ts";
import { createTestLog, memoryStore, storedKeys, textEvent } from "../support/log.ts";

/** A reader as a process has it, on a store that others use too. */
function createReader(kv: FaultyKv) {
  const reader = new HeadReader({ clock: systemClock, random: () => 0 });
  return (pipeline: string) => reader.read((use) => use(kv), pipeline);
}

/** Steps the counter that the epoch of an unwritten pipeline depends on. */
async function step(kv: FaultyKv, read: ReturnType<typeof createReader>, pipeline: string) {
  const { key } = (await read(pipeline)).checks.at(-1)!;
  const { value } = await kv.inner.get<number>(key);
  await kv.inner.atomic().set(key, (value ?? 0) + 1).commit();
}

Deno.test("HeadReader.read() derives the same epoch in every process, and another for each pipeline", async () => {
  await using store = await memoryStore();
  const kv = new FaultyKv(await store.open());
  const [a, b] = [createReader(kv), createReader(kv)];
  const pipelines = Array.from({ length: 100 }, (_, index) => `p_${index}`);
  const epochs = await Promise.all(
    pipelines.map(async (pipeline) => {
      const heads = [(await a(pipeline)).head, (await b(pipeline)).head];
      equal(heads[0]!.epoch, heads[1]!.epoch);
      return heads[0]!.epoch;
    }),
  );
  equal(new Set(epochs).size, epochs.length);
  deepEqual(await storedKeys(kv), [["epoch-secret"]]);
});

Deno.test("HeadReader.read() derives another epoch after each step of the counter", async () => {
  await using store = await memoryStore();
  const kv = new FaultyKv(await store.open());
  const read = createReader(kv);
  const epochs = new Set<string>();
  for (let i = 0; i < 20; i++) {
    epochs.add((await read("p_a")).head.epoch);
    await step(kv, read, "p_a");
  }
  equal(epochs.size, 20);
});

Deno.test("HeadReader.read() uses few counters, whatever the pipelines", async () => {
  await using store = await memoryStore();
  const kv = new FaultyKv(await store.open());
  const read = createReader(kv);
  for (let i = 0; i < 200; i++) {
    const [, , counter] = (await read(`p_${i}`)).checks;
    const index = Number(counter!.key.at(-1));
    deepEqual(counter!.key, generationKey(index));
    equal(index >= 0 && index < COUNTERS, true);
  }
});

Deno.test("HeadReader.read() follows the secret of a store that was restored while it runs", async () => {
  await using store = await memoryStore();
  const kv = new FaultyKv(await store.open());
  const [a, b] = [createReader(kv), createReader(kv)];
  const before = (await a("p_a")).head.epoch;
  await replaceSecret(kv);
  const after = (await b("p_a")).head.epoch;
  notEqual(after, before);
  equal((await a("p_a")).head.epoch, after);
});

for (
  const [name, fault] of [["is locked", fail(databaseLocked)], [
    "was written by another one",
    runThenPassThrough(async () => {}),
  ]] as const
) {
  Deno.test(`HeadReader.read() creates one secret though the store ${name}`, async () => {
    await using store = await memoryStore();
    const kv = new FaultyKv(await store.open());
    const [a, b] = [createReader(kv), createReader(kv)];
    kv.script("commit", fault);
    const heads = await Promise.all([a("p_a"), b("p_a")]);
    equal(heads[0].head.epoch, heads[1].head.epoch);
  });
}

Deno.test("EventLog.append() gives a first event no epoch that was used up meanwhile", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  const read = createReader(test.kv);
  const before = (await read("p_a")).head.epoch;
  test.kv.script("commit", runThenPassThrough(() => step(test.kv, read, "p_a")));
  const { epoch, first } = await test.advanceUntil(test.log.append("p_a", [textEvent("1")]));
  notEqual(epoch, before);
  deepEqual([epoch, first], [(await read("p_a")).head.epoch, 1]);
});
