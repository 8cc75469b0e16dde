import { ok, strictEqual as equal } from "node:assert/strict";
import { WriteLoad } from "../../lib/hub/write_load.ts";
import { FakeClock } from "../support/fakes/clock.ts";

/** The demand of so many deliveries in each millisecond, for a second. */
function demandOf(load: WriteLoad, clock: FakeClock, deliveries: number): number {
  for (let ms = 0; ms < 1000; ms++) {
    load.demanded(deliveries);
    clock.advance(1);
  }
  return load.demand;
}

function near(actual: number, expected: number): void {
  ok(Math.abs(actual - expected) < 0.02 * expected, `${actual} instead of ${expected}`);
}

Deno.test("WriteLoad tells the share of the time that single writes would take", () => {
  const clock = new FakeClock();
  const load = new WriteLoad(clock);
  equal(load.demand, 0);
  near(demandOf(load, clock, 50), 0.5);
  near(demandOf(load, clock, 150), 1.5);
});

Deno.test("WriteLoad forgets what was asked for within some 100 ms", () => {
  const clock = new FakeClock();
  const load = new WriteLoad(clock);
  demandOf(load, clock, 100);
  clock.advance(100);
  near(load.demand, 1 / Math.E);
  clock.advance(1000);
  ok(load.demand < 0.001);
});

Deno.test("WriteLoad learns what a write costs", () => {
  const clock = new FakeClock();
  const load = new WriteLoad(clock);
  for (let i = 0; i < 100; i++) load.measured(100, 0.5);
  near(demandOf(load, clock, 100), 0.5);
});

Deno.test("WriteLoad counts a measure that other work disturbed as twice the cost", () => {
  const clock = new FakeClock();
  const load = new WriteLoad(clock);
  load.measured(100, 1000);
  near(demandOf(load, clock, 100), 1.1);
});

Deno.test("WriteLoad learns nothing from a slice without writes", () => {
  const clock = new FakeClock();
  const load = new WriteLoad(clock);
  load.measured(0, 10);
  near(demandOf(load, clock, 100), 1);
});
