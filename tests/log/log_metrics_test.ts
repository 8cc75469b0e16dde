import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { fail, pause } from "../support/fakes/kv.ts";
import { createTestLog, textEvent } from "../support/log.ts";
import { startService } from "../support/service.ts";
import { advanceUntil } from "../support/wait.ts";

Deno.test("EventLog counts the requests of each commit, and the commits of each operation", async () => {
  await using test = await createTestLog();
  const { log, kv, metrics } = test;
  const held = [pause("call"), pause("call")];
  kv.script("commit", ...held.map(({ fault }) => fault));
  const first = [log.append("p_a", [textEvent("1")]), log.append("p_z", [textEvent("1")])];
  for (const { reached } of held.slice(0, 1)) await reached;
  const rest = [1, 2, 3].map(() => log.append("p_a", [textEvent("2")]));
  for (const { release } of held) release();
  await Promise.all([...first, ...rest]);
  // Both of the first operation, and three requests that waited meanwhile.
  const [ones, twos, fours, ...others] = metrics.groupSize.read();
  deepEqual([ones, twos, fours, others.at(-1)], [2, 0, 1, 5]);
  equal(metrics.operationSize.read().at(-1), 3);
});

Deno.test("EventLog counts the commits that it tries again", async () => {
  await using test = await createTestLog();
  const { log, kv, clock, metrics } = test;
  await log.append("p_a", [textEvent("1")]);
  equal(metrics.commitRetries.value, 0);
  kv.script("commit", fail(() => new TypeError("database is locked")));
  await advanceUntil(clock, log.append("p_a", [textEvent("2")]));
  equal(metrics.commitRetries.value, 1);
});

Deno.test("A service counts the calls of the store that miss their deadlines", async () => {
  await using service = await startService();
  const held = pause("call");
  service.kv.script("get", held.fault);
  const read = service.log.head("p_a");
  await rejects(advanceUntil(service.clock, read, 100), { type: "log-unavailable" });
  equal(service.metrics.storeTimeouts.value, 1);
  held.release();
});
