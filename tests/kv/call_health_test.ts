import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { CallHealth } from "../../lib/kv/call_health.ts";
import { FakeClock } from "../support/fakes/clock.ts";

function setUp() {
  const clock = new FakeClock();
  const reports: unknown[] = [];
  const health = new CallHealth({
    clock,
    report: (message, cause, options) =>
      reports.push([message, ...cause ? [String(cause)] : [], ...options ? [options] : []]),
  });
  return { clock, reports, health };
}

Deno.test("CallHealth reports a store that fails once, and once that it works again", () => {
  const { clock, reports, health } = setUp();
  health.answered();
  for (let i = 0; i < 10; i++) {
    health.failed(new Error("closed"));
    clock.advance(1000);
    // Reads go on while the disk is full.
    health.answered();
  }
  deepEqual(reports, [["The store of the log fails", "Error: closed"]]);
  clock.advance(3999);
  health.answered();
  deepEqual(reports.length, 1);
  clock.advance(1);
  health.answered();
  health.answered();
  deepEqual(reports.slice(1), [[
    "The store of the log works again",
    { level: "info", fields: { seconds: 14 } },
  ]]);
  health.failed(new Error("closed"));
  deepEqual(reports.length, 3);
});

Deno.test("CallHealth does not report a lock that another connection has for a moment", () => {
  const { reports, health } = setUp();
  health.failed(new TypeError("database is locked"));
  deepEqual(reports, []);
});

Deno.test("CallHealth tells how long a store fails, and nothing of one that nobody calls", () => {
  const { clock, health } = setUp();
  equal(health.outageMs, 0);
  health.failed(new Error("closed"));
  clock.advance(60_000);
  health.failed(new Error("closed"));
  clock.advance(119_999);
  equal(health.outageMs, 179_999);
  clock.advance(1);
  equal(health.outageMs, 0);
  health.failed(new Error("closed"));
  equal(health.outageMs, 180_000);
  clock.advance(5000);
  health.answered();
  equal(health.outageMs, 0);
});
