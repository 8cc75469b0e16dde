import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { systemRuntime } from "../../lib/base/runtime.ts";

Deno.test("systemRuntime has the time and the randomness of the system", () => {
  const [before, now, after] = [Date.now(), systemRuntime.clock.now(), Date.now()];
  ok(before <= now && now <= after);
  const numbers = Array.from({ length: 100 }, () => systemRuntime.random());
  ok(numbers.every((number) => number >= 0 && number < 1));
  ok(new Set(numbers).size > 90);
});

Deno.test("systemRuntime.report() writes one line to standard error", () => {
  const lines: unknown[][] = [];
  const { error } = console;
  console.error = (...line) => lines.push(line);
  try {
    systemRuntime.report("Cannot sweep", new Error("disk full"));
  } finally {
    console.error = error;
  }
  deepEqual(lines, [["Cannot sweep: Error: disk full"]]);
});
