import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { createReport, type Report } from "../../lib/base/report.ts";
import { FakeClock } from "../support/fake_clock.ts";

function setUp(): { clock: FakeClock; lines: string[]; report: Report } {
  const clock = new FakeClock();
  const lines: string[] = [];
  return { clock, lines, report: createReport(clock, (line) => lines.push(line)) };
}

const causes: [name: string, cause: unknown, line: string][] = [
  ["no cause", undefined, "Cannot sweep"],
  ["an error", new TypeError("database is locked"), "Cannot sweep: TypeError: database is locked"],
  [
    "an error with causes of its own",
    new RunnelError("log-unavailable", "Cannot reach the log", {
      cause: new Error("closed", { cause: "network" }),
    }),
    "Cannot sweep: RunnelError: Cannot reach the log (Error: closed (network))",
  ],
  ["what is no error", "disk full", "Cannot sweep: disk full"],
  ["null", null, "Cannot sweep: null"],
];

for (const [name, cause, line] of causes) {
  Deno.test(`createReport() writes one line for ${name}`, () => {
    const { lines, report } = setUp();
    report("Cannot sweep", cause);
    deepEqual(lines, [line]);
  });
}

Deno.test("createReport() writes ten lines a second, and how many it left out", () => {
  const { clock, lines, report } = setUp();
  for (let i = 0; i < 25; i++) report(`trouble ${i}`);
  deepEqual(lines, Array.from({ length: 10 }, (_, i) => `trouble ${i}`));
  clock.advance(1000);
  report("trouble again");
  deepEqual(lines.slice(10), ["… and 15 lines more", "trouble again"]);
});

Deno.test("createReport() leaves nothing out of ten lines a second", () => {
  const { clock, lines, report } = setUp();
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 10; i++) report("trouble");
    clock.advance(1000);
  }
  equal(lines.length, 30);
  equal(new Set(lines).size, 1);
});
