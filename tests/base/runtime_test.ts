import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { createRuntime, systemRuntime } from "../../lib/base/runtime.ts";

Deno.test("systemRuntime has the time and the randomness of the system", () => {
  const [before, now, after] = [Date.now(), systemRuntime.clock.now(), Date.now()];
  ok(before <= now && now <= after);
  const numbers = Array.from({ length: 100 }, () => systemRuntime.random());
  ok(numbers.every((number) => number >= 0 && number < 1));
  ok(new Set(numbers).size > 90);
});

Deno.test("createRuntime() writes warnings and errors with other functions than the rest", () => {
  const { debug, info, warn, error } = console;
  const used: string[] = [];
  for (const name of ["debug", "info", "warn", "error"] as const) {
    console[name] = () => used.push(name);
  }
  try {
    const { report } = createRuntime({ level: "debug" });
    for (const level of ["debug", "info", "warn", "error"] as const) {
      report("message", undefined, { level });
    }
  } finally {
    Object.assign(console, { debug, info, warn, error });
  }
  deepEqual(used, ["debug", "info", "warn", "error"]);
});

Deno.test("createRuntime() writes one line to standard error", () => {
  const lines: unknown[][] = [];
  const write = console.error;
  console.error = (...line) => lines.push(line);
  try {
    createRuntime({ format: "json" }).report("Cannot sweep", new Error("disk full"));
  } finally {
    console.error = write;
  }
  const [[line, ...others]] = lines as [[string]];
  equal(lines.length, 1);
  equal(others.length, 0);
  const { level, message, error } = JSON.parse(line);
  deepEqual([level, message, error], ["ERROR", "Cannot sweep", "Error: disk full"]);
});
