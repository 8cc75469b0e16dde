import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { FanOut, SLICE } from "../../lib/hub/fan_out.ts";
import type { Passes } from "../../lib/hub/passes.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { FakeClock } from "../support/fakes/clock.ts";

/** A fan-out whose turns are held. */
function createFanOut() {
  const clock = new FakeClock();
  clock.holdTurns();
  const reports: [string, unknown][] = [];
  const metrics = createMetrics();
  const fanOut = new FanOut(
    { clock, report: (message, error) => reports.push([message, error]) },
    metrics,
  );
  return { clock, reports, metrics, fanOut };
}

/** The subscribers of a pipeline, each of which keeps the version of what it was shown. */
class Audience {
  /** Version of what was published last. */
  newest = 0;
  visible = 0;
  readonly seen: number[][];
  readonly passes: Passes;

  constructor(fanOut: FanOut, size: number) {
    this.seen = Array.from({ length: size }, () => []);
    this.passes = fanOut.passesOf(this);
  }

  publish(events = 1): void {
    this.newest++;
    this.passes.request(events);
  }

  size(): number {
    return this.seen.length;
  }

  *reveal() {
    this.visible = this.newest;
    for (const seen of this.seen) yield { wake: () => void seen.push(this.visible) };
  }

  /** Number of subscribers that were shown a version. */
  shown(version: number): number {
    return this.seen.filter((seen) => seen.includes(version)).length;
  }
}

/** Runs turns until nothing waits for one, each taking a time, and returns their number. */
function runTurns(clock: FakeClock, ms = 0): number {
  let turns = 0;
  while (clock.turn() > 0) {
    turns++;
    clock.pass(ms);
  }
  return turns;
}

Deno.test("FanOut begins a pass in the turn after the request", () => {
  const { clock, fanOut } = createFanOut();
  const audience = new Audience(fanOut, 3);
  audience.publish();
  equal(audience.visible, 0);
  clock.turn();
  deepEqual(audience.seen, [[1], [1], [1]]);
});

Deno.test("FanOut wakes a slice of the subscribers in every second turn", () => {
  const { clock, fanOut } = createFanOut();
  const audience = new Audience(fanOut, 2 * SLICE + 1);
  audience.publish();
  const shown = [];
  for (let i = 0; i < 6; i++) {
    clock.turn();
    shown.push(audience.shown(1));
  }
  deepEqual(shown, [SLICE, SLICE, 2 * SLICE, 2 * SLICE, 2 * SLICE + 1, 2 * SLICE + 1]);
});

for (const [writeMs, slice] of [[0.001, SLICE], [0.04, 25], [1, 10]] as const) {
  Deno.test(`FanOut wakes ${slice} subscribers at a time when a write takes ${writeMs} ms`, () => {
    const { clock, fanOut } = createFanOut();
    let woken = 0;
    const subscribers = Array.from({ length: 10_000 }, () => ({ wake: () => void woken++ }));
    const passes = fanOut.passesOf({ size: () => 1, reveal: () => subscribers.values() });
    passes.request(1);
    const slices: number[] = [];
    while (clock.turn() > 0) {
      // A slice and its measure are two turns.
      if (woken > 0) slices.push(woken);
      clock.pass(slices.at(-1)! * writeMs / 2);
      woken = 0;
    }
    const [last] = slices.slice(-2);
    ok(Math.abs(last! - slice) <= 1, `${last}`);
  });
}

Deno.test("FanOut shows together in the next pass what was published during one", () => {
  const { clock, fanOut } = createFanOut();
  const audience = new Audience(fanOut, 2 * SLICE);
  audience.publish();
  clock.turn();
  audience.publish();
  clock.turn();
  audience.publish();
  runTurns(clock);
  deepEqual(audience.seen, Array.from({ length: 2 * SLICE }, () => [1, 3]));
});

Deno.test("FanOut lets the passes of all pipelines advance by turns", () => {
  const { clock, fanOut } = createFanOut();
  const [large, other, small] = [20 * SLICE, 20 * SLICE, 3].map((size) =>
    new Audience(fanOut, size)
  );
  large!.publish();
  other!.publish();
  clock.turn();
  equal(large!.shown(1), SLICE);
  small!.publish();
  for (let slices = 0; slices < 3; slices++) {
    clock.turn();
    clock.turn();
  }
  equal(small!.shown(1), 3);
  ok(large!.shown(1) < 3 * SLICE && other!.shown(1) < 3 * SLICE);
  runTurns(clock);
  equal(large!.shown(1), 20 * SLICE);
});

Deno.test("FanOut takes many small pipelines in one slice", () => {
  const { clock, fanOut } = createFanOut();
  const audiences = Array.from({ length: SLICE }, () => new Audience(fanOut, 1));
  for (const audience of audiences) audience.publish();
  clock.turn();
  ok(audiences.every((audience) => audience.shown(1) === 1));
});

/** Publishes an event every so many milliseconds, writes taking 10 µs each, and returns the versions that were shown. */
function shownAtRate(subscribers: number, everyMs: number): number[] {
  const { clock, fanOut } = createFanOut();
  const audience = new Audience(fanOut, subscribers);
  const sliceMs = Math.min(SLICE, subscribers) * 0.01;
  let next = 0;
  while (clock.monotonic() < 1000) {
    if (clock.monotonic() >= next) {
      audience.publish();
      next += everyMs;
    }
    // A slice and its measure are two turns.
    if (clock.turn() > 0) clock.advance(sliceMs / 2);
    else clock.advance(0.1);
  }
  return audience.seen[0]!;
}

Deno.test("FanOut does not rest while each event could go out by itself", () => {
  const shown = shownAtRate(500, 10);
  deepEqual(shown, Array.from(shown, (_, index) => index + 1));
  ok(shown.length >= 99, `${shown.length}`);
});

Deno.test("FanOut rests for twice the time of a pass while the demand is too high", () => {
  // A pass takes 5 ms, so a rest 10: about 67 passes for 500 events.
  const shown = shownAtRate(500, 2);
  ok(shown.length > 55 && shown.length < 80, `${shown.length} passes`);
  equal(shown.at(-1)! >= 480, true);
});

Deno.test("FanOut rests for 20 ms at most", () => {
  // A pass takes 20 ms, so twice that would be 40: 25 passes, and not 17.
  const shown = shownAtRate(2000, 2);
  ok(shown.length > 21 && shown.length < 30, `${shown.length} passes`);
});

Deno.test("FanOut shows what was published last, though nothing follows", () => {
  const { clock, fanOut } = createFanOut();
  const audience = new Audience(fanOut, 500);
  for (let i = 0; i < 200; i++) {
    audience.publish();
    clock.turn();
    clock.advance(1);
  }
  while (runTurns(clock, 1) + clock.liveTimers > 0) clock.advance(20);
  equal(audience.shown(200), 500);
});

Deno.test("FanOut reports a subscriber that cannot be woken, and goes on", () => {
  const { clock, fanOut, reports } = createFanOut();
  const woken: number[] = [];
  const error = new Error("broken");
  const subscribers = [0, 1, 2].map((number) => ({
    wake() {
      if (number === 1) throw error;
      woken.push(number);
    },
  }));
  const passes = fanOut.passesOf({ size: () => 3, reveal: () => subscribers.values() });
  for (let i = 0; i < 2; i++) {
    passes.request(1);
    runTurns(clock);
  }
  deepEqual(woken, [0, 2, 0, 2]);
  deepEqual(reports, Array.from({ length: 2 }, () => ["Cannot wake a subscriber", error]));
});

Deno.test("FanOut has no more passes of a pipeline that is gone", () => {
  const { clock, fanOut } = createFanOut();
  const [gone, other] = [new Audience(fanOut, 2 * SLICE), new Audience(fanOut, 1)];
  gone.publish();
  clock.turn();
  gone.publish();
  gone.passes[Symbol.dispose]();
  gone.publish();
  other.publish();
  runTurns(clock);
  equal(gone.shown(1), SLICE);
  equal(gone.shown(2), 0);
  equal(other.shown(1), 1);
  equal(clock.liveTimers, 0);
});

Deno.test("FanOut has no next pass of a pipeline that is gone at the end of one", () => {
  const { clock, fanOut } = createFanOut();
  const gone = new Audience(fanOut, 1);
  gone.publish();
  clock.turn();
  gone.publish();
  gone.passes[Symbol.dispose]();
  runTurns(clock);
  deepEqual(gone.seen, [[1]]);
});

Deno.test("FanOut has no more passes at all once it is disposed of", () => {
  const { clock, fanOut } = createFanOut();
  const audience = new Audience(fanOut, 2 * SLICE);
  audience.publish();
  clock.turn();
  fanOut[Symbol.dispose]();
  audience.publish();
  equal(runTurns(clock), 0);
  equal(audience.shown(1), SLICE);
});
