import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { legendEntries } from "../../../lib/pages/viewer/legend_entries.js";
import { findTop, formatRate } from "../../../lib/pages/viewer/rate_scale.js";

Deno.test("findTop() returns the next of 1, 2 and 5 times a power of ten", () => {
  deepEqual(
    [0, 0.2, 1, 1.1, 2, 3, 5, 5.5, 10, 11, 99, 1000, 1001].map(findTop),
    [1, 1, 1, 2, 2, 5, 5, 10, 10, 20, 100, 1000, 2000],
  );
  deepEqual([1, 0.5, 2.5, 12.4, 5000].map(formatRate), ["1", "0.5", "2.5", "12", "5,000"]);
});

Deno.test("legendEntries() names the channels of the colors with the most events", () => {
  const names = new Map([[3, ["orders"]], [7, ["a", "b"]], [9, ["c", "d", "e"]]]);
  const intervals = [new Map([["3", 1], ["9", 2]]), new Map([["9", 1], ["7", 2]])];
  deepEqual(legendEntries(intervals, (color) => names.get(color) ?? []), [
    { color: "9", text: "c and 2 more" },
    { color: "7", text: "a, b" },
    { color: "3", text: "orders" },
  ]);
});

Deno.test("legendEntries() counts the channels of further colors", () => {
  const intervals = [new Map(Array.from({ length: 8 }, (_, i) => [String(i), 8 - i]))];
  const entries = legendEntries(intervals, (color) => color < 7 ? [`${color}`] : ["x", "y"]);
  deepEqual(entries.map(({ text }) => text), ["0", "1", "2", "3", "4", "5", "and 3 more"]);
});
