import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { HeadWatches } from "../../lib/sync/head_watches.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { FakeWatchKv } from "../support/fakes/watch_kv.ts";
import { flush } from "../support/wait.ts";

/** Watches of a fake store, and the heads that they passed on. */
function createTestWatches({ random = 0, open }: { random?: number; open?: Promise<void> } = {}) {
  const [clock, kv] = [new FakeClock(), new FakeWatchKv()];
  const reports: string[] = [];
  const told: string[] = [];
  const watches = new HeadWatches({
    open: async () => {
      await open;
      return await kv.open();
    },
    runtime: { clock, random: () => random, report: (message) => reports.push(message) },
    onHead: (pipeline, head) => told.push(`${pipeline} ${head?.sequence ?? "none"}`),
  });
  return {
    clock,
    kv,
    watches,
    reports,
    /** The heads that were passed on since the last call. */
    async told() {
      await flush();
      return told.splice(0);
    },
    /** Lets the watches collect the added pipelines. */
    async collect() {
      await flush();
      clock.advance(10);
      await flush();
    },
    async [Symbol.asyncDispose]() {
      await watches.close();
      equal(clock.liveTimers, 0);
      equal(kv.watches.size, 0);
      equal(kv.connections.size, 0);
    },
  };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `p_${i}`);
}

Deno.test("HeadWatches pass on a head when its watch begins and when it changes", async () => {
  await using test = createTestWatches();
  test.kv.set("p_a", 3);
  test.watches.add("p_a");
  test.watches.add("p_b");
  await test.collect();
  deepEqual(await test.told(), ["p_a 3", "p_b none"]);
  test.kv.set("p_b", 1);
  deepEqual(await test.told(), ["p_b 1"]);
});

Deno.test("HeadWatches put ten pipelines in a watch, and 64 watches on a connection", async () => {
  await using test = createTestWatches();
  for (const pipeline of names(645)) test.watches.add(pipeline);
  await test.collect();
  deepEqual(test.watches.stats, { pipelines: 645, watches: 65, connections: 2, lost: 0 });
  deepEqual([...test.kv.connections].map((watches) => watches.size), [64, 1]);
  equal(test.kv.opened, 65);
  for (const { keys } of test.kv.watches) equal(keys.length <= 10, true);
});

Deno.test("HeadWatches.add() to a watch replaces it, and misses no change meanwhile", async () => {
  await using test = createTestWatches();
  test.watches.add("p_a");
  await test.collect();
  await test.told();
  test.watches.add("p_b");
  test.watches.add("p_c");
  test.kv.set("p_a", 1, false);
  await test.collect();
  deepEqual(await test.told(), ["p_a 1", "p_b none", "p_c none"]);
  equal(test.kv.opened, 2);
  equal(test.kv.watches.size, 1);
});

Deno.test("HeadWatches.add() replaces a watch again and again, soon after the first of several", async () => {
  await using test = createTestWatches();
  test.watches.add("p_0");
  await test.collect();
  for (let i = 1; i <= 4; i += 2) {
    await test.told();
    test.watches.add(`p_${i}`);
    test.clock.advance(6);
    test.watches.add(`p_${i + 1}`);
    test.clock.advance(4);
    deepEqual(await test.told(), [`p_${i} none`, `p_${i + 1} none`]);
  }
  equal(test.kv.opened, 3);
});

Deno.test("HeadWatches.add() watches nothing after close()", async () => {
  await using test = createTestWatches();
  await test.watches.close();
  test.watches.add("p_a");
  await test.collect();
  equal(test.kv.opened, 0);
});

Deno.test("HeadWatches.delete() leaves no watch when the connection is still being opened", async () => {
  const { promise: open, resolve } = Promise.withResolvers<void>();
  await using test = createTestWatches({ open });
  test.watches.add("p_a");
  await test.collect();
  test.watches.delete("p_a");
  resolve();
  await flush();
  equal(test.kv.opened, 0);
});

Deno.test("HeadWatches.delete() passes nothing on any more, and ends an empty watch", async () => {
  await using test = createTestWatches();
  test.watches.add("p_a");
  test.watches.add("p_b");
  await test.collect();
  await test.told();
  test.watches.delete("p_a");
  test.kv.set("p_a", 1);
  deepEqual(await test.told(), []);
  test.watches.delete("p_b");
  await flush();
  deepEqual(test.watches.stats, { pipelines: 0, watches: 0, connections: 0, lost: 0 });
  equal(test.kv.watches.size, 0);
});

for (
  const [how, end] of [
    ["ended", (controller) => controller.close()],
    ["failed", (controller) => controller.error(new Error("gone"))],
  ] as [string, (controller: ReadableStreamDefaultController) => void][]
) {
  Deno.test(`HeadWatches reopen a watch that ${how}, after a pause, and miss nothing`, async () => {
    await using test = createTestWatches({ random: 0.5 });
    test.watches.add("p_b");
    await test.collect();
    // Also one that was replaced before.
    test.watches.add("p_a");
    await test.collect();
    await test.told();
    test.kv.drop(end);
    test.kv.set("p_a", 1);
    await flush();
    equal(test.kv.watches.size, 0);
    deepEqual(test.reports, ["Cannot watch the log"]);
    test.clock.advance(749);
    deepEqual(await test.told(), []);
    test.clock.advance(1);
    deepEqual(await test.told(), ["p_a 1"]);
    equal(test.watches.stats.lost, 1);
  });
}

Deno.test("HeadWatches retry until the store can be watched", async () => {
  await using test = createTestWatches();
  test.kv.failure = new Error("down");
  test.watches.add("p_a");
  await test.collect();
  for (let i = 0; i < 3; i++) {
    test.clock.advance(500);
    await flush();
  }
  equal(test.reports.length, 4);
  test.kv.failure = null;
  test.clock.advance(500);
  deepEqual(await test.told(), ["p_a none"]);
});

Deno.test("HeadWatches.reopen() replaces a watch that missed a change", async () => {
  await using test = createTestWatches();
  test.watches.add("p_a");
  await test.collect();
  await test.told();
  test.kv.set("p_a", 1, false);
  test.watches.reopen("p_a");
  test.watches.reopen("p_b");
  await test.collect();
  deepEqual(await test.told(), ["p_a 1"]);
  equal(test.kv.opened, 2);
});

Deno.test("HeadWatches replace a watch after half an hour", async () => {
  await using test = createTestWatches();
  test.watches.add("p_a");
  await test.collect();
  await test.told();
  test.clock.advance(30 * 60 * 1000 - 1);
  await flush();
  equal(test.kv.opened, 1);
  test.clock.advance(1);
  await flush();
  equal(test.kv.opened, 2);
  deepEqual(await test.told(), []);
});
