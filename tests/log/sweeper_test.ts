import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { holds, passes, throws } from "../support/faulty_kv.ts";
import {
  appendTexts,
  createTestLog,
  storedSegments,
  textEvent,
  until,
} from "../support/test_log.ts";

Deno.test("Sweeper deletes the segments of a clear during another sweep", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const sweep = holds("answer");
  test.kv.script("commit", passes, sweep.fault);
  await test.log.clear("p_a");
  await sweep.met;
  await test.drive(test.log.append("p_a", [textEvent("4")]));
  await test.log.clear("p_a");
  sweep.release();
  await until(() => test.log.pending.sweeps === 0);
  deepEqual(await storedSegments(test.kv, "p_a"), []);
});

Deno.test("Sweeper deletes the segments that a failed sweep left", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  test.kv.script("next", throws());
  await test.log.clear("p_a");
  await until(() => test.log.pending.sweeps === 0);
  await test.log.clear("p_a");
  await until(() => test.log.pending.sweeps === 0);
  deepEqual(await storedSegments(test.kv, "p_a"), []);
});
