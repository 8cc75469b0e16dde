import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { fail, passThrough, pause } from "../support/fakes/kv.ts";
import {
  createTestLog,
  memoryStore,
  type SharedStore,
  storedKeys,
  textEvent,
} from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

const ERASE_MS = 10_000;
const NEVER = { expireMs: Infinity };

/** A log of one event, and the number of times that its file was erased. */
async function createErasedLog(store: SharedStore) {
  const erased = { times: 0 };
  const test = await createTestLog({
    ...store,
    erase: () => {
      erased.times++;
      return Promise.resolve(true);
    },
  });
  await test.advanceUntil(test.log.append("p_a", [textEvent("old")]));
  return { ...test, erased, [Symbol.asyncDispose]: () => test[Symbol.asyncDispose]() };
}

for (const remove of ["clear", "delete"] as const) {
  Deno.test(`Removal.${remove}() has the file erased, once the events are removed from it`, async () => {
    await using store = await memoryStore();
    await using test = await createErasedLog(store);
    const { log, kv, clock, erased } = test;
    await test.advanceUntil(log[remove]("p_a"));
    await test.advanceUntil(until(() => log.pending.sweeps === 0));
    clock.advance(ERASE_MS);
    await flush();
    equal(erased.times, 1);
    equal(kv.busy, 0);
  });
}

Deno.test("Removal.clear() has the file erased later when the events are still being removed", async () => {
  await using store = await memoryStore();
  await using test = await createErasedLog(store);
  const { log, kv, clock, erased } = test;
  const sweep = pause("call");
  // Only the sweep lists records.
  kv.script("next", sweep.fault);
  await log.clear("p_a");
  await sweep.reached;
  clock.advance(ERASE_MS);
  await flush();
  equal(erased.times, 0);
  sweep.release();
  await until(() => log.pending.sweeps === 0);
  clock.advance(ERASE_MS);
  await flush();
  equal(erased.times, 1);
});

Deno.test("Removal with upkeep finishes what another process has begun to delete", async () => {
  await using store = await memoryStore();
  const first = await createTestLog(store);
  await first.log.append("p_a", [textEvent("old")], { key: "1" });
  let commits = 0;
  first.kv.fallback = (call) => call === "commit" && ++commits > 1 ? fail() : passThrough;
  await first.log.delete("p_a");
  await until(() => commits > 1);
  await first.log.close();

  await using second = await createTestLog({ ...store, upkeep: NEVER });
  await second.advanceUntil(until(() => second.log.pending.sweeps === 0));
  const kinds = (await storedKeys(second.kv.inner)).map(([kind]) => kind);
  deepEqual(kinds.sort(), ["epoch-secret", "generation"]);
});

Deno.test("Removal.close() ends the walks over what has expired", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog({ ...store, upkeep: { expireMs: 1000 } });
  await until(() => test.kv.busy === 0 && test.log.pending.sweeps === 0);
  await test.log.close();
  equal(test.clock.liveTimers, 0);
});
