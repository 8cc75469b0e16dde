import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { newHead } from "../../lib/log/head.ts";
import { headKey, segmentKey } from "../../lib/log/keys.ts";
import { Sweeper } from "../../lib/log/sweeper.ts";
import { HeadReader } from "../../lib/log/unwritten.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { fail, FaultyKv, passThrough, pause } from "../support/fakes/kv.ts";
import {
  appendTexts,
  createTestLog,
  prepareStore,
  storedSegments,
  textEvent,
} from "../support/log.ts";
import { until } from "../support/wait.ts";

const EPOCH = "AAECAwQFBgc";

/** Creates a sweeper on a store with segments of one event each. */
async function createTestSweeper(segments: number) {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const clock = new FakeClock();
  await prepareStore(kv.inner);
  await kv.inner.atomic().set(headKey("p_a"), newHead(EPOCH, 0)).commit();
  const reports: string[] = [];
  const connection = await KvConnection.open({
    open: () => Promise.resolve(kv),
    runtime: { clock, report() {} },
    timeoutMs: 3000,
    remote: false,
  });
  const operation = kv.inner.atomic();
  for (let i = 1; i <= segments; i++) operation.set(segmentKey("p_a", i), new Uint8Array(1));
  await operation.commit();
  return {
    kv,
    reports,
    sweeper: new Sweeper(connection, new HeadReader({ clock, random: () => 0 }), {
      report: (message) => reports.push(message),
    }),
    [Symbol.dispose]: () => connection.close(),
  };
}

Deno.test("Sweeper.add() never lowers the oldest event that stays", async () => {
  using test = await createTestSweeper(5);
  test.sweeper.add("p_a", EPOCH, 4);
  test.sweeper.add("p_a", EPOCH, 2);
  await until(() => test.sweeper.size === 0);
  deepEqual(await storedSegments(test.kv, "p_a"), [4, 5]);
});

Deno.test("Sweeper.close() waits for the deletion in flight, and starts no other", async () => {
  using test = await createTestSweeper(450);
  const held = pause("call");
  test.kv.script("commit", held.fault);
  test.sweeper.add("p_a", EPOCH, 451);
  await held.reached;
  const closed = test.sweeper.close();
  held.release();
  await closed;
  equal((await storedSegments(test.kv, "p_a")).length, 250);
});

Deno.test("Sweeper does not report a deletion that fails during close()", async () => {
  using test = await createTestSweeper(1);
  const held = pause("call");
  test.kv.script("commit", async (carryOut) => {
    await held.fault(carryOut);
    throw new Error("connection reset");
  });
  test.sweeper.add("p_a", EPOCH, 2);
  await held.reached;
  const closed = test.sweeper.close();
  held.release();
  await closed;
  deepEqual(test.reports, []);
});

Deno.test("Sweeper deletes the segments of a clear during another sweep", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const sweep = pause("answer");
  test.kv.script("commit", passThrough, sweep.fault);
  await test.log.clear("p_a");
  await sweep.reached;
  await test.advanceUntil(test.log.append("p_a", [textEvent("4")]));
  await test.log.clear("p_a");
  sweep.release();
  await until(() => test.log.pending.sweeps === 0);
  deepEqual(await storedSegments(test.kv, "p_a"), []);
});

Deno.test("Sweeper deletes the segments that a failed sweep left", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  test.kv.script("next", fail());
  await test.log.clear("p_a");
  await until(() => test.log.pending.sweeps === 0);
  await test.log.clear("p_a");
  await until(() => test.log.pending.sweeps === 0);
  deepEqual(await storedSegments(test.kv, "p_a"), []);
});
