import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { locked, standsAndRefuses, throws } from "../support/faulty_kv.ts";
import { appendTexts, createTestLog, storedSegments, until } from "../support/test_log.ts";

for (const [name, fault] of [["refused", standsAndRefuses], ["locked", throws(locked)]] as const) {
  Deno.test(`HeadStore.ensureHead() creates one epoch though its commit is ${name}`, async () => {
    await using test = await createTestLog();
    test.kv.script("commit", fault);
    const { epoch } = await test.drive(test.log.ensureHead("p_a"));
    equal((await test.log.head("p_a"))!.epoch, epoch);
    equal(test.kv.commits, 1);
  });

  Deno.test(`HeadStore.clear() clears once though its commit is ${name}`, async () => {
    await using test = await createTestLog();
    await appendTexts(test, 3);
    test.kv.script("commit", fault);
    deepEqual((await test.drive(test.log.clear("p_a")))!.oldest, 4);
    await until(() => test.log.pending.sweeps === 0);
    deepEqual(await storedSegments(test.kv, "p_a"), []);
  });
}
