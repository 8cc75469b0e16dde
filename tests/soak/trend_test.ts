import { ok, strictEqual as equal, throws } from "node:assert/strict";
import { SeededRandom } from "../support/generators/random.ts";
import { judge, median, slope } from "./trend.ts";

const TOLERANCE = { share: 0.1, amount: 5 };

/** A series of `length` values around a line, which scatter by a share of `scatter`. */
function series(length: number, start: number, step: number, scatter: number): number[] {
  const { next } = new SeededRandom(7);
  return Array.from({ length }, (_, index) => start + step * index + scatter * (next() - 0.5));
}

Deno.test("median() returns the middle, or the mean of the two in the middle", () => {
  equal(median([3, 1, 2]), 2);
  equal(median([4, 1, 2, 3]), 2.5);
  ok(Number.isNaN(median([])));
});

Deno.test("slope() is that of the line, also with an outlier in every fourth place", () => {
  equal(slope([1, 3, 5, 7]), 2);
  const outliers = series(40, 100, 2, 0).map((value, index) => index % 4 === 0 ? 900 : value);
  ok(Math.abs(slope(outliers) - 2) < 0.5, `${slope(outliers)}`);
});

Deno.test("judge() takes a level for a level, and steady growth for a trend", () => {
  equal(judge(series(60, 100, 0, 20), TOLERANCE).grows, false);
  const { grows, growth } = judge(series(60, 100, 1, 10), TOLERANCE);
  equal(grows, true);
  ok(Math.abs(growth - 29) < 5, `${growth}`);
});

Deno.test("judge() does not mind growth that ends by the half, nor a fall", () => {
  const warmUp = [...series(30, 10, 3, 0), ...series(30, 100, 0, 5)];
  equal(judge(warmUp, TOLERANCE).grows, false);
  equal(judge(series(60, 100, -1, 0), TOLERANCE).grows, false);
});

Deno.test("judge() tolerates the larger of the share and the amount", () => {
  equal(judge(series(20, 10, 0.4, 0), TOLERANCE).limit, 5);
  equal(judge(series(20, 1000, 0, 0), TOLERANCE).limit, 100);
});

Deno.test("judge() refuses a series that is too short to have a trend", () => {
  throws(() => judge([1, 2, 3, 4], TOLERANCE), { name: "RangeError", message: /run longer/ });
});
