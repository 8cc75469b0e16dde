import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { createReporter, type LogRecord, type Reporter } from "../../lib/base/report.ts";
import { FakeClock } from "../support/fakes/clock.ts";

const PERIOD_MS = 10_000;

type Options = Partial<Parameters<typeof createReporter>[0]>;

function setUp(options: Options = {}) {
  const clock = new FakeClock();
  const records: LogRecord[] = [];
  const report: Reporter = createReporter({
    ...options,
    clock,
    write: (record) => records.push(record),
  });
  return { clock, records, report, messages: () => records.map(({ message }) => message) };
}

const causes: [name: string, cause: unknown, error: string][] = [
  ["an error", new TypeError("database is locked"), "TypeError: database is locked"],
  [
    "an error with a chain of causes",
    new RunnelError("log-unavailable", "Cannot reach the log", {
      cause: new Error("closed", { cause: "network" }),
    }),
    "RunnelError: Cannot reach the log (Error: closed (network))",
  ],
  ["a string", "disk full", "disk full"],
  ["null", null, "null"],
];

for (const [name, cause, error] of causes) {
  Deno.test(`createReporter() writes one record for ${name}`, () => {
    const { clock, records, report } = setUp();
    report("Cannot sweep", cause, { fields: { pipeline: "p_a", missing: undefined } });
    deepEqual(records, [{
      level: "error",
      time: clock.now(),
      message: "Cannot sweep",
      fields: { error, pipeline: "p_a" },
    }]);
  });
}

Deno.test("createReporter() writes a warning without a cause, with the fields of all records", () => {
  const { clock, records, report } = setUp({ fields: { isolate: 2 } });
  report("The disk is full");
  deepEqual(records, [{
    level: "warn",
    time: clock.now(),
    message: "The disk is full",
    fields: { isolate: 2 },
  }]);
});

const levels = {
  debug: ["debug", "info", "warn", "error"],
  info: ["info", "warn", "error"],
  warn: ["warn", "error"],
  error: ["error"],
  off: [],
} as const;

for (const [level, written] of Object.entries(levels)) {
  Deno.test(`createReporter() writes ${written.join(", ") || "nothing"} at ${level}`, () => {
    const { messages, report } = setUp({ level: level as keyof typeof levels });
    for (const level of levels.debug) report(level, undefined, { level });
    deepEqual(messages(), written);
  });
}

Deno.test("createReporter() counts a message that repeats, and writes the number once", () => {
  const { clock, records, messages, report } = setUp();
  for (let i = 0; i < 25; i++) report("The disk is full", undefined, { fields: { i } });
  equal(records.length, 5);
  clock.advance(PERIOD_MS - 1);
  report("The disk is full");
  equal(records.length, 5);
  clock.advance(1);
  deepEqual(messages().slice(5), ["21 more in 10 s: The disk is full"]);
  deepEqual(records[5]!.fields, { repeated: 21, last: new Date(clock.now() - 1).toISOString() });
  report("The disk is full");
  deepEqual(messages().slice(6), ["The disk is full"]);
  equal(clock.liveTimers, 0);
});

Deno.test("createReporter() writes ever fewer messages while one repeats, and five after a rest", () => {
  const { clock, messages, report } = setUp();
  for (let second = 0; second < 8 * 3600; second++) {
    report("The disk is full");
    clock.advance(1000);
  }
  const numbers = messages().filter((message) => message.includes(" more in "));
  deepEqual(numbers.slice(0, 7), [
    "5 more in 10 s: The disk is full",
    "19 more in 20 s: The disk is full",
    "39 more in 40 s: The disk is full",
    "79 more in 80 s: The disk is full",
    "159 more in 160 s: The disk is full",
    "319 more in 320 s: The disk is full",
    "319 more in 320 s: The disk is full",
  ]);
  equal(messages().length, 193);
  clock.advance(2 * 320_000);
  const before = messages().length;
  for (let i = 0; i < 9; i++) report("The disk is full");
  equal(messages().length - before, 5);
});

Deno.test("createReporter() counts each message and each level by itself", () => {
  const { records, report } = setUp({ level: "debug" });
  for (let i = 0; i < 6; i++) {
    report("The disk is full");
    report("The disk is full", undefined, { level: "info" });
    report("The store fails");
  }
  equal(records.length, 15);
});

Deno.test("createReporter() writes every message of five in a period, without a timer", () => {
  const { clock, records, report } = setUp();
  for (let period = 0; period < 3; period++) {
    for (let i = 0; i < 5; i++) report("message");
    equal(clock.liveTimers, 0);
    clock.advance(PERIOD_MS);
  }
  equal(records.length, 15);
});

Deno.test("createReporter() writes every message that is unlimited", () => {
  const { records, report } = setUp();
  for (let i = 0; i < 100; i++) report("Request", undefined, { level: "info", unlimited: true });
  equal(records.length, 100);
});

Deno.test("createReporter() shortens texts, so that a client cannot fill a disk", () => {
  const { records, report } = setUp();
  report("a".repeat(60_000), new Error("b".repeat(60_000)), { fields: { c: "c".repeat(60_000) } });
  const { message, fields: { error, c } } = records[0]!;
  equal(message, `${"a".repeat(2000)}…`);
  equal(error, `Error: ${"b".repeat(1993)}…`);
  equal(c, `${"c".repeat(2000)}…`);
});

Deno.test("createReporter() leaves secrets out of messages, causes and fields", () => {
  const { records, report } = setUp();
  const secrets =
    "https://me:secret@host/a?ticket=secret&b=1 Bearer secret eyJhbGciOi.secret.secret";
  report(secrets, new Error(secrets), { fields: { secrets } });
  const rest = "https://…@host/a?ticket=…&b=1 Bearer … …";
  deepEqual([records[0]!.message, records[0]!.fields], [rest, {
    error: `Error: ${rest}`,
    secrets: rest,
  }]);
});
