import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { colorOf, COLORS } from "../../../lib/pages/viewer/channel_colors.js";

Deno.test("colorOf() depends on the name only", () => {
  // Other colors would change those that users know.
  deepEqual(["orders", "payments", "shipments", "", "É😀"].map(colorOf), [14, 20, 7, 4, 10]);
});

Deno.test("colorOf() gives common names colors of their own", () => {
  const names =
    "orders payments shipments stock returns emails invoices refunds events greetings " +
    "logs tests progress alerts visitors";
  const colors = names.split(" ").map(colorOf);
  equal(new Set(colors).size, colors.length);
});

Deno.test("colorOf() spreads names over all colors", () => {
  const counts = Array.from({ length: COLORS }, () => 0);
  for (let i = 0; i < 24_000; i++) counts[colorOf(`channel ${i}`)]!++;
  ok(Math.min(...counts) > 700 && Math.max(...counts) < 1300, counts.join());
});
