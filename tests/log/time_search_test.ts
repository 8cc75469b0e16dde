import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { segmentKey } from "../../lib/log/keys.ts";
import { numbers } from "../support/events.ts";
import { fail } from "../support/fakes/kv.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { createTestLog, type TestLog, textEvent } from "../support/log.ts";
import { seeds } from "../support/model/repetitions.ts";

const HOUR_MS = 60 * 60 * 1000;

/** Appends events, each in its own segment, a second after the one before, from 1 s on. */
async function appendEachSecond(test: TestLog, count: number): Promise<number> {
  const start = test.clock.now();
  for (let i = 0; i < count; i++) {
    test.clock.advance(1000);
    await test.log.append("p_a", [textEvent("1")]);
  }
  return start;
}

async function startOf({ log }: TestLog, since: number): Promise<number> {
  const [place, head] = await Promise.all([log.findSince("p_a", since), log.head("p_a")]);
  equal(place!.epoch, head!.epoch);
  return place!.start;
}

Deno.test("EventLog.findSince() returns the place before the first event of a time", async () => {
  await using test = await createTestLog();
  const start = await appendEachSecond(test, 20);
  for (const i of numbers(1, 20)) {
    equal(await startOf(test, start + i * 1000), i - 1);
    equal(await startOf(test, start + i * 1000 - 1), i - 1);
    equal(await startOf(test, start + i * 1000 + 1), i);
  }
  equal(await startOf(test, -Infinity), 0);
  equal(await startOf(test, Infinity), 20);
});

Deno.test("EventLog.findSince() takes the events of a commit together", async () => {
  await using test = await createTestLog();
  const start = test.clock.now();
  for (const count of [3, 1000, 1, 500]) {
    test.clock.advance(1000);
    await test.log.append("p_a", numbers(1, count).map(() => textEvent("1".repeat(100))));
  }
  const starts = numbers(1, 5).map((i) => startOf(test, start + i * 1000));
  deepEqual(await Promise.all(starts), [0, 3, 1003, 1004, 1504]);
});

Deno.test("EventLog.findSince() returns null for a pipeline without a log", async () => {
  await using test = await createTestLog();
  equal(await test.log.findSince("p_a", 0), null);
});

Deno.test("EventLog.findSince() reads few segments, and none for a time after the newest event", async () => {
  await using test = await createTestLog({ retention: { events: 5000 } });
  const start = await appendEachSecond(test, 1000);
  const reads = async (since: number) => {
    const { next } = test.kv.calls;
    await startOf(test, since);
    return test.kv.calls.next - next;
  };
  equal(await reads(start + 1_000_001), 0);
  // One of each of two calls has the value, and the other the end of the list.
  equal(await reads(start), 2);
  const most = Math.max(...await Promise.all(numbers(0, 100).map((i) => reads(start + i * 9_999))));
  ok(most <= 2 * 101 * 12, `${most}`);
});

Deno.test("EventLog.findSince() returns nothing that is trimmed or cleared", async () => {
  await using test = await createTestLog({ retention: { events: 8, ms: 0 } });
  const start = await appendEachSecond(test, 30);
  const { oldest } = (await test.log.head("p_a"))!;
  ok(oldest > 1);
  equal(await startOf(test, start), oldest - 1);
  equal(await startOf(test, start + 25_000), 24);
  await test.log.clear("p_a");
  for (const since of [-Infinity, start + 30_000, Infinity]) equal(await startOf(test, since), 30);
});

Deno.test("EventLog.findSince() counts what is missing or damaged as young", async () => {
  await using test = await createTestLog();
  const start = await appendEachSecond(test, 20);
  for (const sequence of [8, 9, 10]) {
    await test.kv.atomic().delete(segmentKey("p_a", sequence)).commit();
  }
  await test.kv.atomic().set(segmentKey("p_a", 15), new Uint8Array(3)).commit();
  const starts = numbers(1, 20).map((i) => startOf(test, start + i * 1000));
  // A client that gets 8 to 10 is told that they are missing, and so is one that gets 15.
  deepEqual(await Promise.all(starts), [
    ...[0, 1, 2, 3, 4, 5, 6],
    ...[7, 7, 7, 7],
    ...[11, 12, 13],
    ...[14, 14, 14, 14, 14, 14],
  ]);
});

Deno.test("EventLog.findSince() misses nothing of a log whose clock was set back by hours", async () => {
  await using test = await createTestLog();
  const start = await appendEachSecond(test, 5);
  test.clock.set(start - 10 * HOUR_MS);
  const back = await appendEachSecond(test, 5);
  deepEqual((await test.log.head("p_a"))!.stepped, [6, start + 5000]);
  // Who can tell when those of before came.
  for (const since of [back, back + 3000, start, start + 5000]) {
    equal(await startOf(test, since), 0);
  }
  equal(await startOf(test, start + 5001), 10);
  test.clock.set(start + 6000);
  await appendEachSecond(test, 5);
  equal(await startOf(test, start + 8000), 11);
  await test.log.clear("p_a");
  equal((await test.log.head("p_a"))!.stepped, undefined);
});

Deno.test("EventLog.findSince() keeps the order of a log whose clock was set back by minutes", async () => {
  await using test = await createTestLog();
  const start = await appendEachSecond(test, 5);
  test.clock.set(start - HOUR_MS + 10_000);
  await appendEachSecond(test, 5);
  equal((await test.log.head("p_a"))!.stepped, undefined);
  equal(await startOf(test, start + 5000), 4);
  equal(await startOf(test, start + 4000), 3);
});

Deno.test("EventLog.findSince() rejects if the log does not answer", async () => {
  await using test = await createTestLog();
  await appendEachSecond(test, 5);
  test.kv.script("next", fail());
  await rejects(startOf(test, test.clock.now() - 1), { type: "log-unavailable" });
  test.kv.script("get", fail());
  await rejects(test.log.findSince("p_a", 0), { type: "log-unavailable" });
});

for (const seed of seeds(12)) {
  Deno.test(`EventLog.findSince() is right whatever happens to the log and its clock (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const retention = { events: random.pick([1, 20, 1000]), ms: 0 };
    await using test = await createTestLog({ random: random.next, retention });
    const { log, clock } = test;
    /** Times of all events, by sequence. */
    const times = new Map<number, number>();
    const isSteppy = random.chance(0.5);
    for (let step = 0; step < 40; step++) {
      const ms = random.pick([0, 1, 500, 20_000, HOUR_MS]);
      if (isSteppy && random.chance(0.1)) {
        clock.set(clock.now() - random.pick([1, HOUR_MS - 1, HOUR_MS + 1, 50 * HOUR_MS]));
      } else clock.advance(ms);
      if (random.chance(0.03)) await log.clear("p_a");
      const count = random.pick([1, 1, 1, 4, 40]);
      const events = numbers(1, count).map(() => textEvent("1".repeat(random.pick([1, 9000]))));
      const { first } = await test.advanceUntil(log.append("p_a", events));
      const { time } = (await log.head("p_a"))!;
      for (const sequence of numbers(first, first + count - 1)) times.set(sequence, time);

      const head = (await log.head("p_a"))!;
      const retained = numbers(head.oldest, head.sequence);
      for (let i = 0; i < 4; i++) {
        const since = random.pick([
          times.get(random.pick(retained))! + random.integer(-1, 1),
          clock.now() - random.integer(0, 60_000),
        ]);
        const found = await startOf(test, since);
        const message = `step ${step}, since ${since}`;
        const firstYoung = retained.find((sequence) => times.get(sequence)! >= since);
        const exact = (firstYoung ?? head.sequence + 1) - 1;
        // Nothing that is young is before it, and nothing that is older after it, in order.
        ok(found <= exact, message);
        const isOrdered = retained.every((sequence) =>
          sequence === head.oldest || times.get(sequence)! >= times.get(sequence - 1)!
        );
        if (isOrdered) equal(found, exact, message);
      }
    }
  });
}
