import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { Rates } from "../../../lib/pages/viewer/rates.js";

Deno.test("Rates.read() returns events per second of each channel, oldest first", () => {
  const rates = new Rates(5000, 3);
  for (let i = 0; i < 10; i++) rates.add("orders", 10_000 + i);
  rates.add("payments", 14_999);
  rates.add("orders", 15_000);
  deepEqual(rates.read(15_001), [
    new Map(),
    new Map([["orders", 2], ["payments", 0.2]]),
    new Map([["orders", 0.2]]),
  ]);
});

Deno.test("Rates.read() drops intervals that are too old", () => {
  const rates = new Rates(1000, 2);
  rates.add("orders", 0);
  rates.add("orders", 1500);
  deepEqual(rates.read(2000), [new Map([["orders", 1]]), new Map()]);
  deepEqual(rates.read(1000), [new Map(), new Map([["orders", 1]])]);
});
