import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { measureLoopDelay } from "../../lib/telemetry/loop_delay.ts";
import { combine, createMetrics, ENTRIES, takeSnapshot } from "../../lib/telemetry/metrics.ts";
import { FakeClock } from "../support/fakes/clock.ts";

Deno.test("Every instrument has a name of its own, a meaning, and labels with a bound", () => {
  const names = ENTRIES.map(([, { name }]) => name);
  equal(new Set(names).size, names.length);
  for (const [, { name, doc, kind, label, labels, bounds }] of ENTRIES) {
    equal(/^runnel(\.[a-z]+(_[a-z]+)*)+$/.test(name), true, name);
    equal(/^[A-Z].+\.$/.test(doc), true, name);
    if (kind !== "info") equal(labels.length > 0, label !== null, name);
    equal(bounds.length > 0, kind === "histogram", name);
    deepEqual(bounds, bounds.toSorted((a, b) => a - b), name);
  }
});

Deno.test("Histogram.record() counts a value under the first bound that it does not exceed", () => {
  const { groupSize } = createMetrics();
  for (const value of [1, 2, 3, 512, 513]) groupSize.record(value);
  deepEqual(groupSize.read(), [1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1031]);
});

Deno.test("Counters.read() returns the numbers in the order of the labels, or those observed", () => {
  const { gaps, repairs, watchesLost } = createMetrics();
  watchesLost.observe(() => 5);
  deepEqual(watchesLost.read(), [5]);
  gaps.add("cleared");
  gaps.add("unknown", 2);
  deepEqual(gaps.read(), [0, 1, 0, 2]);
  repairs.observe(() => ({ watch: 3, gap: 1, reconcile: 4, announcement: 2 }));
  deepEqual(repairs.read(), [1, 2, 3, 4]);
});

Deno.test("takeSnapshot() leaves out what its isolate does not have", () => {
  const metrics = createMetrics();
  metrics.subscribers.observe(() => 7);
  const { values, facts } = takeSnapshot(metrics);
  deepEqual([values.subscribers, values.fileBytes, values.info, facts], [
    [7],
    undefined,
    undefined,
    null,
  ]);
});

Deno.test("combine() adds up isolates, except for gauges of which the largest counts", () => {
  const [one, other, owner] = [createMetrics(), createMetrics(), createMetrics()];
  one.events.add(2);
  other.events.add(5);
  one.groupSize.record(1);
  other.groupSize.record(1);
  other.groupSize.record(100);
  one.behind.observe(() => 3);
  other.behind.observe(() => 9);
  one.tailBytes.observe(() => 10);
  other.tailBytes.observe(() => 20);
  owner.fileBytes.observe(() => 4096);
  owner.info.set("1", "2", "file");
  const { values, facts } = combine([owner, one, other].map(takeSnapshot));
  deepEqual([values.events, values.behind, values.tailBytes, values.fileBytes], [
    [7],
    [9],
    [30],
    [4096],
  ]);
  deepEqual(values.groupSize, [2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 102]);
  deepEqual(facts, { version: "1", deno: "2", kv: "file" });
});

Deno.test("measureLoopDelay() records by how much its timer is late, until it is disposed", () => {
  const [metrics, clock] = [createMetrics(), new FakeClock()];
  using delay = measureLoopDelay(metrics, clock);
  clock.advance(300);
  deepEqual(metrics.loopDelay.read().slice(0, 1), [3]);
  clock.pass(430);
  clock.advance(0);
  const [fast, ...slow] = metrics.loopDelay.read();
  // The timers that were due meanwhile run at once.
  deepEqual([fast, slow.slice(0, -1).reduce((sum, count) => sum + count)], [6, 1]);
  equal(slow.at(-1)!.toFixed(2), "0.33");
  delay[Symbol.dispose]();
  equal(clock.liveTimers, 0);
});
