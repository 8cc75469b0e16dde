import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { type Head, newHead } from "../../lib/log/head.ts";
import { Reconciler } from "../../lib/sync/reconciler.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

/** A reconciler of some pipelines, and what it read. */
function createTestReconciler(
  count: number,
  heads?: () => Promise<(Head | null)[]>,
  periodMs = 60_000,
) {
  const clock = new FakeClock(0);
  const pipelines = Array.from({ length: count }, (_, i) => `p_${i}`);
  const reads: (readonly string[])[] = [];
  const seen: string[] = [];
  const reports: string[] = [];
  const reconciler = new Reconciler({
    runtime: { clock, report: (message) => reports.push(message) },
    periodMs,
    pipelines: () => pipelines,
    heads: (some) => {
      reads.push(some);
      return heads?.() ?? Promise.resolve(some.map(() => newHead("AAECAwQFBgc", 0)));
    },
    onHead: (pipeline) => seen.push(pipeline),
  });
  return {
    clock,
    pipelines,
    reads,
    seen,
    reports,
    [Symbol.dispose]: () => reconciler[Symbol.dispose](),
  };
}

for (const seconds of [15, 60]) {
  for (const count of [1, 7, 60, 601, 2000]) {
    Deno.test(`Reconciler compares each of ${count} pipelines once in ${seconds} seconds, evenly`, async () => {
      using test = createTestReconciler(count, undefined, seconds * 1000);
      let most = 0;
      for (let second = 0; second < seconds; second++) {
        const before = test.seen.length;
        test.clock.advance(1000);
        await flush();
        most = Math.max(most, test.seen.length - before);
      }
      ok(most <= Math.ceil(count / seconds) + 1, `${most} in a second`);
      equal(new Set(test.seen).size, test.seen.length, "none twice");
      equal(test.seen.length, count);
      for (const read of test.reads) ok(read.length <= 10);
    });
  }
}

Deno.test("Reconciler has at most four reads in flight", async () => {
  const never = Promise.withResolvers<(Head | null)[]>();
  using test = createTestReconciler(6000, () => never.promise);
  for (let i = 0; i < 5; i++) test.clock.advance(1000);
  await flush();
  equal(test.reads.length, 4);
});

Deno.test("Reconciler reports a failed read, and repeats it with the next step", async () => {
  let isDown = true;
  using test = createTestReconciler(
    60,
    () => isDown ? Promise.reject(new Error("down")) : Promise.resolve([null]),
  );
  test.clock.advance(1000);
  await flush();
  deepEqual(test.reports, ["Cannot compare pipelines with the log"]);
  isDown = false;
  test.clock.advance(1000);
  await flush();
  deepEqual(test.seen, ["p_0"]);
  test.clock.advance(1000);
  await flush();
  deepEqual(test.seen, ["p_0", "p_1"]);
});

Deno.test("Reconciler goes on where it failed, at the same pace, after an outage", async () => {
  let isDown = true;
  using test = createTestReconciler(2000, () => {
    return isDown ? Promise.reject(new Error("down")) : Promise.resolve(Array(10).fill(null));
  });
  for (let second = 0; second < 200; second++) {
    test.clock.advance(1000);
    await flush();
  }
  isDown = false;
  for (let second = 0; second < 60; second++) {
    const before = test.seen.length;
    test.clock.advance(1000);
    await flush();
    ok(test.seen.length - before <= Math.ceil(2000 / 60) + 1);
  }
  deepEqual(test.seen, test.pipelines);
});

Deno.test("Reconciler reads no head of a pipeline that is live for less than a period", async () => {
  using test = createTestReconciler(1);
  test.clock.advance(59_999);
  await flush();
  deepEqual(test.reads, []);
  test.clock.advance(1);
  await flush();
  deepEqual(test.reads, [["p_0"]]);
});

Deno.test("Reconciler leaves no timer behind", () => {
  const test = createTestReconciler(1);
  test[Symbol.dispose]();
  equal(test.clock.liveTimers, 0);
});
