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
  timeAfter,
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
      head = advanceHead(head, { ...step, now: time }, retention);
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
    const next = advanceHead(head, { count: 1, bytes: 10, now: time }, retention);
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
      head = advanceHead(head, { count: 1, bytes: 100, now: i * dt }, retention);
      const kept = head.sequence - head.oldest + 1;
      ok(kept >= Math.min(i, least) && kept <= least + 102, `${kept} kept after ${i}`);
      ok(head.marks.length <= MAX_TRIM_POINTS, `${head.marks.length} points after ${i}`);
    }
  });
}

const HOUR_MS = 60 * 60 * 1000;

Deno.test("timeAfter() never decreases, except after a step back of more than an hour", () => {
  const head = { ...newHead("AAECAwQFBgc", 0), time: 10 * HOUR_MS };
  const times = [11, 10, 9.5, 9, 8.9].map((hours) => timeAfter(head, hours * HOUR_MS) / HOUR_MS);
  deepEqual(times, [11, 10, 10, 10, 8.9]);
});

/** Appends an event every 20 ms, with clocks that are wrong until the first half has passed. */
function keptAfterStep(wrongMs: number): number {
  const retention = { events: 1000, ms: 60_000, bytes: 10 ** 9 };
  const start = 10 ** 12;
  let head = newHead("AAECAwQFBgc", start);
  for (let i = 0; i < 12_500; i++) {
    const now = start + i * 20 + (i < 6250 ? wrongMs : 0);
    head = advanceHead(head, { count: 1, bytes: 100, now }, retention);
  }
  return head.sequence - head.oldest + 1;
}

for (
  const [name, ms] of [["an hour", HOUR_MS], ["a day", 24 * HOUR_MS], [
    "years",
    10 ** 11,
  ]] as const
) {
  Deno.test(`advanceHead() trims by age after a clock that was ${name} ahead`, () => {
    const control = keptAfterStep(0);
    ok(control >= 3000 && control <= 3400, `${control} kept in the control`);
    const kept = keptAfterStep(ms);
    ok(Math.abs(kept - control) <= 400, `${kept} kept, ${control} in the control`);
  });
}

Deno.test("advanceHead() trims nothing sooner and keeps nothing longer after steps back of the clock", () => {
  const walks = fc.array(
    fc.record({
      wait: fc.oneof(fc.constant(0), fc.nat(40), fc.nat(600)),
      back: fc.oneof(
        { weight: 20, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.nat(100) },
        { weight: 1, arbitrary: fc.integer({ min: 100, max: 1000 * HOUR_MS }) },
      ),
    }),
    { minLength: 1, maxLength: 300, size: "max" },
  );
  const limits = retention.map((limits) => ({ ...limits, bytes: 10 ** 9 }));
  fc.assert(fc.property(walks, limits, (walks, retention) => {
    let head = newHead("AAECAwQFBgc", 10 ** 13);
    let [real, offset] = [0, 10 ** 13];
    const accepted: number[] = [];
    for (const { wait, back } of walks) {
      real += wait;
      offset -= back;
      const before = head;
      const now = real + offset;
      head = advanceHead(head, { count: 1, bytes: 10, now }, retention);
      ok(head.time >= before.time || before.time - now > HOUR_MS);
      accepted.push(real);
      for (let lost = before.oldest; lost < head.oldest; lost++) {
        ok(real - accepted[lost - 1]! >= retention.ms, "trimmed too soon");
      }
      head.marks.reduce((then, mark) => {
        ok(mark[1] >= then && mark[1] <= head.time, "a trim point is later than the head");
        return mark[1];
      }, -Infinity);
    }
    // A hundred events have the age of the retention.
    for (let i = 1; i <= 400; i++) {
      const now = real + offset + i * retention.ms / 100;
      head = advanceHead(head, { count: 1, bytes: 10, now }, retention);
    }
    const kept = head.sequence - head.oldest + 1;
    ok(kept <= 120, `${kept} kept`);
  }));
});

Deno.test("clearHead() retains no event, while epoch and sequences go on", () => {
  const retention = { events: 10, ms: 10, bytes: 10_000 };
  const before = advanceHead(
    newHead("AAECAwQFBgc", 0),
    { count: 9, bytes: 90, now: 5 },
    retention,
  );
  const cleared = clearHead(before);
  deepEqual([cleared.oldest, cleared.cleared, cleared.sequence], [10, 10, 9]);
  const after = advanceHead(cleared, { count: 1, bytes: 10, now: 6 }, retention);
  deepEqual([after.epoch, after.oldest, after.sequence], ["AAECAwQFBgc", 10, 10]);
});

Deno.test("advanceHead() moves oldest beyond cleared when it trims after a clear", () => {
  const retention = { events: 8, ms: 0, bytes: 10 ** 6 };
  let head = advanceHead(newHead("AAECAwQFBgc", 0), { count: 5, bytes: 9, now: 1 }, retention);
  head = clearHead(head);
  equal(head.oldest, head.cleared);
  for (let i = 0; i < 30; i++) head = advanceHead(head, { count: 1, bytes: 9, now: 2 }, retention);
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
