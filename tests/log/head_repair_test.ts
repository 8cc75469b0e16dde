import {
  deepStrictEqual as deepEqual,
  notStrictEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { isHead, rebuildHead } from "../../lib/log/head_repair.ts";
import { headKey } from "../../lib/log/keys.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { fail, FaultyKv } from "../support/fakes/kv.ts";
import { appendTexts, createTestLog, memoryStore, readTexts } from "../support/log.ts";
import { until } from "../support/wait.ts";
import { appendText } from "../support/written_log.ts";

Deno.test("isHead() accepts the heads of this and of the older version only", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 2);
  const head = (await test.log.head("p_a"))!;
  equal(isHead(head), true);
  for (const value of [undefined, null, 3, {}, { ...head, sequence: "2" }, { ...head, epoch: 1 }]) {
    equal(isHead(value), false);
  }
});

Deno.test("rebuildHead() makes a head of the segments that are left, under a new epoch", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  const before = (await test.log.head("p_a"))!;
  await test.kv.atomic().set(headKey("p_a"), 3).commit();
  const connection = await KvConnection.open({
    open: () => Promise.resolve(test.kv),
    runtime: { clock: new FakeClock(), report() {} },
    timeoutMs: 3000,
    remote: false,
  });
  await rebuildHead(connection, "p_a", before.time + 1);
  const after = (await test.log.head("p_a"))!;
  equal(isHead(after), true);
  notStrictEqual(after.epoch, before.epoch);
  deepEqual([after.sequence, after.oldest, after.time], [5, 1, before.time]);
  const page = (await test.log.readAfter("p_a", 0, Infinity))!;
  deepEqual([page.missed, page.events.length], [0, 5]);
  const payload = new TextEncoder().encode("6");
  const publish = test.log.append("p_a", [{ channel: "tick", payload }]);
  const { first } = await test.advanceUntil(publish);
  equal(first, 6);
});

Deno.test("rebuildHead() does not return to the epoch of a pipeline without segments", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const connection = await KvConnection.open({
    open: () => Promise.resolve(kv),
    runtime: { clock: new FakeClock(), report() {} },
    timeoutMs: 3000,
    remote: false,
  });
  await rebuildHead(connection, "p_a", 7);
  const { value } = await kv.get(headKey("p_a"));
  equal(isHead(value) && value.sequence === 0 && value.oldest === 1, true);
  connection.close();
});

for (const count of [0, 2]) {
  Deno.test(`rebuildHead() brings nothing back that is being deleted, with ${count} events since`, async () => {
    await using store = await memoryStore();
    const broken = await createTestLog(store);
    await appendTexts(broken, 3);
    await broken.log.append("p_a", [], { end: true });
    // The process ends before anything was swept.
    broken.kv.script("next", fail());
    await broken.log.delete("p_a");
    for (let i = 0; i < count; i++) await broken.advanceUntil(appendText(broken, `new ${i}`));
    await broken.kv.inner.atomic().set(headKey("p_a"), 3).commit();
    await broken.log.close();
    const connection = await KvConnection.open({
      open: store.open,
      runtime: { clock: new FakeClock(), report() {} },
      timeoutMs: 3000,
      remote: false,
    });
    await rebuildHead(connection, "p_a", Date.now());
    await using test = await createTestLog({ ...store, upkeep: { expireMs: Infinity } });
    const texts = Array.from({ length: count }, (_, i) => `new ${i}`);
    deepEqual(await readTexts(test.log, "p_a"), texts);
    equal((await appendText(test, "last")).first, 5 + count);
    await test.advanceUntil(until(() => test.log.pending.sweeps === 0));
    deepEqual(await readTexts(test.log, "p_a"), [...texts, "last"]);
  });
}
