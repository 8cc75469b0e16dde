import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { createReporter, type Reporter } from "../../lib/base/report.ts";
import { FakeClock } from "../support/fakes/clock.ts";

function setUp(): { clock: FakeClock; lines: string[]; report: Reporter } {
  const clock = new FakeClock();
  const lines: string[] = [];
  return { clock, lines, report: createReporter(clock, (line) => lines.push(line)) };
}

const causes: [name: string, cause: unknown, line: string][] = [
  ["no cause", undefined, "Cannot sweep"],
  ["an error", new TypeError("database is locked"), "Cannot sweep: TypeError: database is locked"],
  [
    "an error with a chain of causes",
    new RunnelError("log-unavailable", "Cannot reach the log", {
      cause: new Error("closed", { cause: "network" }),
    }),
    "Cannot sweep: RunnelError: Cannot reach the log (Error: closed (network))",
  ],
  ["a string", "disk full", "Cannot sweep: disk full"],
  ["null", null, "Cannot sweep: null"],
];

for (const [name, cause, line] of causes) {
  Deno.test(`createReporter() writes one line for ${name}`, () => {
    const { lines, report } = setUp();
    report("Cannot sweep", cause);
    deepEqual(lines, [line]);
  });
}

Deno.test("createReporter() writes ten lines in a second, and the number left out", () => {
  const { clock, lines, report } = setUp();
  for (let i = 0; i < 25; i++) report(`message ${i}`);
  deepEqual(lines, Array.from({ length: 10 }, (_, i) => `message ${i}`));
  clock.advance(1000);
  report("message again");
  deepEqual(lines.slice(10), ["… and 15 lines more", "message again"]);
});

Deno.test("createReporter() writes every line of ten in a second", () => {
  const { clock, lines, report } = setUp();
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 10; i++) report("message");
    clock.advance(1000);
  }
  equal(lines.length, 30);
  equal(new Set(lines).size, 1);
});

Deno.test("createReporter() escapes control characters, so that a client cannot forge a line", () => {
  const lines: string[] = [];
  const report = createReporter(new FakeClock(), (line) => lines.push(line));
  report("Cannot GET /a\nb", new Error("\u001b[31m\u0085\u2028"));
  deepEqual(lines, ["Cannot GET /a\\u000ab: Error: \\u001b[31m\\u0085\\u2028"]);
});

Deno.test("createReporter() shortens a line, so that a client cannot fill a disk", () => {
  const { lines, report } = setUp();
  report(`Cannot GET /${"a".repeat(60_000)}`, new Error("disk full"));
  deepEqual(lines, [`Cannot GET /${"a".repeat(1988)}…`]);
});
