import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { commitThenFailCheck, databaseLocked, fail, failCheck } from "../support/fakes/kv.ts";
import { appendTexts, createTestLog, storedSegments } from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

for (
  const [name, fault] of [["refused", commitThenFailCheck], [
    "locked",
    fail(databaseLocked),
  ]] as const
) {
  Deno.test(`HeadStore.ensureHead() creates one epoch though its commit is ${name}`, async () => {
    await using test = await createTestLog();
    test.kv.script("commit", fault);
    const { epoch } = await test.advanceUntil(test.log.ensureHead("p_a"));
    equal((await test.log.head("p_a"))!.epoch, epoch);
    equal(test.kv.commits, 1);
  });

  Deno.test(`HeadStore.clear() clears once though its commit is ${name}`, async () => {
    await using test = await createTestLog();
    await appendTexts(test, 3);
    test.kv.script("commit", fault);
    deepEqual((await test.advanceUntil(test.log.clear("p_a")))!.oldest, 4);
    await until(() => test.log.pending.sweeps === 0);
    deepEqual(await storedSegments(test.kv, "p_a"), []);
  });
}

Deno.test("HeadStore.ensureHead() pauses before it writes again", async () => {
  await using test = await createTestLog({ random: () => 0.5 });
  test.kv.script("commit", failCheck);
  const head = test.log.ensureHead("p_a");
  await until(() => test.kv.calls.commit === 1 && test.kv.busy === 0);
  await flush();
  deepEqual([test.kv.calls.get, test.clock.liveTimers], [1, 1]);
  test.clock.advance(5);
  equal((await head).sequence, 0);
});

Deno.test("HeadStore.ensureHead() rejects if the store fails for another reason", async () => {
  await using test = await createTestLog();
  const cause = new TypeError("database or disk is full");
  test.kv.script("commit", fail(() => cause));
  await rejects(test.log.ensureHead("p_a"), { type: "log-unavailable", cause });
});
