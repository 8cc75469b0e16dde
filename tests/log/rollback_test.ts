import {
  deepStrictEqual as deepEqual,
  notStrictEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { appendTexts, createTestLog, type TestLog } from "../support/log.ts";

/** Puts the store back to where it was when this was called. */
async function keep({ kv }: TestLog): Promise<() => Promise<void>> {
  const entries = await Array.fromAsync(kv.inner.list({ prefix: [] }));
  return async () => {
    for await (const { key } of kv.inner.list({ prefix: [] })) {
      await kv.inner.atomic().delete(key).commit();
    }
    for (const { key, value } of entries) await kv.inner.atomic().set(key, value).commit();
  };
}

for (const count of [0, 10]) {
  Deno.test(`Committer gives a log that was rolled back to ${count} events a new epoch`, async () => {
    await using test = await createTestLog();
    // A pipeline without events has its epoch from here on.
    const { epoch } = await test.log.ensureHead("p_a");
    if (count > 0) await appendTexts(test, count);
    const rollBack = await keep(test);
    await appendTexts(test, 15 - count);
    await rollBack();
    await test.advanceUntil(appendTexts(test, 1));
    const head = (await test.log.head("p_a"))!;
    notStrictEqual(head.epoch, epoch);
    equal(head.sequence, count + 1);
    equal(test.commits.at(-1)!.epoch, head.epoch);
    deepEqual(test.reports, [
      "The store was rolled back: a pipeline lacks events that it had. It has a new epoch. " +
      "Run `deno task restore` for the others",
    ]);
    await test.advanceUntil(appendTexts(test, 1));
    equal((await test.log.head("p_a"))!.epoch, head.epoch);
  });
}

Deno.test("EventLog.renewEpoch() leaves a log that is not older than the event", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const head = (await test.log.head("p_a"))!;
  const { epoch } = head;
  deepEqual(await test.log.renewEpoch("p_a", { epoch, sequence: 3 }), head);
  deepEqual(await test.log.renewEpoch("p_a", { epoch: "another", sequence: 9 }), head);
  deepEqual(test.reports, []);
  const renewed = await test.log.renewEpoch("p_a", { epoch, sequence: 4 });
  notStrictEqual(renewed.epoch, epoch);
  deepEqual(await test.log.head("p_a"), renewed);
  equal(test.reports.length, 1);
});
