import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parseEventId } from "../../lib/protocol/event.ts";
import {
  advanceHead,
  clearHead,
  type Head,
  mintEpoch,
  newHead,
  type Retention,
} from "../../lib/log/head.ts";

/** A commit as this test records it. */
interface Commit {
  last: number;
  time: number;
  bytes: number;
}

type Step = { clear: true } | { count: number; bytes: number; wait: number };

/** Maximum number of trim points: far below 64 KiB, even with the longest numbers. */
const MAX_TRIM_POINTS = 32;

const retention: fc.Arbitrary<Retention> = fc.record({
  events: fc.integer({ min: 0, max: 60 }),
  ms: fc.integer({ min: 1, max: 500 }),
  bytes: fc.integer({ min: 800, max: 20_000 }),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      count: fc.integer({ min: 1, max: 12 }),
      bytes: fc.integer({ min: 1, max: 800 }),
      wait: fc.oneof(fc.constant(0), fc.nat(40), fc.nat(600)),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ clear: true } as const) },
);

const steps = fc.array(step, { minLength: 1, maxLength: 300, size: "max" });

/** Calls `check` after each step, with the commits that are still retained before and after it. */
function walk(
  steps: Step[],
  retention: Retention,
  check: (head: Head, before: Commit[], after: Commit[], previous: Head) => void,
): void {
  let head = newHead("AAECAwQFBgc", 0);
  let commits: Commit[] = [];
  for (const step of steps) {
    const previous = head;
    if ("clear" in step) {
      head = clearHead(head);
    } else {
      const time = head.time + step.wait;
      head = advanceHead(head, { ...step, time }, retention);
      commits = [...commits, { last: head.sequence, time, bytes: step.bytes }];
    }
    const kept = commits.filter(({ last }) => last >= head.oldest);
    check(head, commits, kept, previous);
    commits = kept;
  }
}

function sum(commits: Commit[]): number {
  return commits.reduce((total, { bytes }) => total + bytes, 0);
}

Deno.test("advanceHead() keeps the events of the retention, or as many bytes as it allows", () => {
  fc.assert(fc.property(steps, retention, (steps, retention) => {
    walk(steps, retention, (head, before, after) => {
      const given = before.slice(0, before.length - after.length);
      if (given.length === 0 || head.oldest === head.cleared) return;
      const enough = head.sequence - head.oldest + 1 >= retention.events &&
        given.every(({ time }) => head.time - time >= retention.ms);
      const largest = Math.max(retention.bytes / 8, ...before.map(({ bytes }) => bytes));
      ok(enough || sum(after) > retention.bytes - largest, JSON.stringify({ head, given }));
    });
  }));
});

Deno.test("advanceHead() never keeps more bytes than the retention allows", () => {
  fc.assert(fc.property(steps, retention, (steps, retention) => {
    walk(steps, retention, (_head, _before, after) => ok(sum(after) <= retention.bytes));
  }));
});

Deno.test("advanceHead() trims between commits, never inside one", () => {
  fc.assert(fc.property(steps, retention, (steps, retention) => {
    const starts = new Set([1]);
    walk(steps, retention, (head) => {
      ok(starts.has(head.oldest) || head.oldest === head.cleared);
      starts.add(head.sequence + 1);
    });
  }));
});

Deno.test("advanceHead() keeps the record small, whatever the retention", () => {
  const larger = retention.map(({ events, ms, bytes }) => ({
    events: events * 10,
    ms: ms * 10,
    bytes: bytes * 10,
  }));
  fc.assert(fc.property(steps, fc.oneof(retention, larger), (steps, retention) => {
    walk(
      steps,
      retention,
      ({ marks }) => ok(marks.length <= MAX_TRIM_POINTS, `${marks.length} points`),
    );
  }));
});

Deno.test("advanceHead() continues sequence and bytes of the head before", () => {
  fc.assert(fc.property(steps, retention, (steps, retention) => {
    let sequence = 0;
    let bytes = 0;
    let index = 0;
    walk(steps, retention, (head, _before, _after, previous) => {
      const step = steps[index++]!;
      if (!("clear" in step)) {
        sequence += step.count;
        bytes += step.bytes;
      }
      deepEqual([head.epoch, head.sequence, head.bytes], [previous.epoch, sequence, bytes]);
      ok(head.oldest >= previous.oldest, "the oldest went back");
      ok(head.oldest <= head.sequence + 1);
      if (head.marks.length > 0) equal(head.marks[0]![0], head.oldest);
      ok(head.time >= previous.time);
    });
  }));
});

Deno.test("advanceHead() does not change the head before", () => {
  const retention = { events: 1, ms: 1, bytes: 1000 };
  let head = newHead("AAECAwQFBgc", 0);
  for (let time = 0; time < 20; time++) {
    const copy = structuredClone(head);
    const next = advanceHead(head, { count: 1, bytes: 10, time }, retention);
    deepEqual(head, copy);
    head = next;
  }
});

const flows: [name: string, dt: number, retention: Retention, least: number][] = [
  ["events", 1000, { events: 800, ms: 1000, bytes: 10 ** 9 }, 800],
  ["age", 10, { events: 8, ms: 8000, bytes: 10 ** 9 }, 800],
  ["bytes", 10, { events: 10 ** 6, ms: 10 ** 9, bytes: 80_000 }, 700],
];

for (const [name, dt, retention, least] of flows) {
  Deno.test(`advanceHead() trims by ${name} at most an eighth of the retention late`, () => {
    let head = newHead("AAECAwQFBgc", 0);
    for (let i = 1; i <= 5000; i++) {
      head = advanceHead(head, { count: 1, bytes: 100, time: i * dt }, retention);
      const kept = head.sequence - head.oldest + 1;
      ok(kept >= Math.min(i, least) && kept <= least + 102, `${kept} kept after ${i}`);
      ok(head.marks.length <= MAX_TRIM_POINTS, `${head.marks.length} points after ${i}`);
    }
  });
}

Deno.test("clearHead() retains no event, while epoch and sequences go on", () => {
  const retention = { events: 10, ms: 10, bytes: 10_000 };
  const before = advanceHead(
    newHead("AAECAwQFBgc", 0),
    { count: 9, bytes: 90, time: 5 },
    retention,
  );
  const cleared = clearHead(before);
  deepEqual([cleared.oldest, cleared.cleared, cleared.sequence], [10, 10, 9]);
  const after = advanceHead(cleared, { count: 1, bytes: 10, time: 6 }, retention);
  deepEqual([after.epoch, after.oldest, after.sequence], ["AAECAwQFBgc", 10, 10]);
});

Deno.test("advanceHead() moves oldest beyond cleared when it trims after a clear", () => {
  const retention = { events: 8, ms: 0, bytes: 10 ** 6 };
  let head = advanceHead(newHead("AAECAwQFBgc", 0), { count: 5, bytes: 9, time: 1 }, retention);
  head = clearHead(head);
  equal(head.oldest, head.cleared);
  for (let i = 0; i < 30; i++) head = advanceHead(head, { count: 1, bytes: 9, time: 2 }, retention);
  ok(head.oldest > head.cleared);
  equal(head.cleared, 6);
});

Deno.test("clearHead() of an empty log keeps it empty", () => {
  const head = clearHead(newHead("AAECAwQFBgc", 0));
  deepEqual([head.sequence, head.oldest], [0, 1]);
});

Deno.test("mintEpoch() returns another epoch at each call, valid in event IDs", () => {
  const epochs = Array.from({ length: 1000 }, mintEpoch);
  equal(new Set(epochs).size, epochs.length);
  for (const epoch of epochs) {
    match(epoch, /^[A-Za-z0-9_-]{11}$/);
    deepEqual(parseEventId(`${epoch}-0`), { epoch, sequence: 0 });
  }
});
