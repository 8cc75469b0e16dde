import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { median, ratio, spread } from "./statistics.ts";

Deno.test("median is the middle value, or the mean of the two", () => {
  equal(median([10, 9, 100]), 10);
  equal(median([4, 1, 3, 2]), 2.5);
  equal(median([7]), 7);
  equal(median([]), NaN);
});

Deno.test("median leaves the values in their order", () => {
  const values = [3, 1, 2];
  median(values);
  deepEqual(values, [3, 1, 2]);
});

Deno.test("spread is the least and the greatest value", () => {
  deepEqual(spread([10, 9, 100]), [9, 100]);
});

Deno.test("ratio compares values of the same turn", () => {
  // The second turn was slow for both.
  equal(ratio([100, 10, 110], [50, 5, 55]), 2);
  equal(ratio([100, 10, 110], [50, 50, 55]), 2);
});

Deno.test("ratio leaves out turns in which one of both failed", () => {
  equal(ratio([null, 30, 40], [10, 10, null]), 3);
  equal(ratio([null], [10]), NaN);
  equal(ratio([10, 20], [0, 10]), 2);
});
