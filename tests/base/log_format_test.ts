import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { createFormatter, isTextFormat, LOG_FORMATS } from "../../lib/base/log_format.ts";
import type { LogRecord } from "../../lib/base/report.ts";

const record: LogRecord = {
  level: "warn",
  time: 0,
  message: "Cannot sweep\n",
  fields: { error: "Error: \u001b[31m\u0085\u2028", pipeline: "p_a", text: "a b\n", isolate: 2 },
};

Deno.test("createFormatter() writes a record as one line of text, with control characters escaped", () => {
  const format = createFormatter("text", { isTerminal: false, colors: true });
  equal(
    format(record),
    "1970-01-01T00:00:00.000Z WARN  Cannot sweep\\u000a: Error: \\u001b[31m\\u0085\\u2028 " +
      'pipeline=p_a text="a b\\n" isolate=2',
  );
});

Deno.test("createFormatter() writes a record as one line of JSON", () => {
  const line = createFormatter("json", { isTerminal: true })(record);
  equal(line.split(/\r?\n/).length, 1);
  deepEqual(JSON.parse(line), {
    "@timestamp": "1970-01-01T00:00:00.000Z",
    level: "WARN",
    message: "Cannot sweep\n",
    logger: "runnel",
    ...record.fields,
  });
});

Deno.test("createFormatter() colors text on a terminal, and adds no other sequence", () => {
  const line = createFormatter("auto", { isTerminal: true, colors: true })(record);
  ok(line.startsWith("\u001b[2m1970-01-01T00:00:00.000Z\u001b[0m "), line);
  // deno-lint-ignore no-control-regex -- a color is a control sequence
  const rest = line.replaceAll(/\u001b\[\d+m/g, "");
  equal(rest, createFormatter("text", { isTerminal: false })(record));
});

Deno.test("isTextFormat() chooses text for a terminal, unless the format is set", () => {
  const choices = LOG_FORMATS.map((format) => [
    format,
    isTextFormat(format, true),
    isTextFormat(format, false),
  ]);
  deepEqual(choices, [["auto", true, false], ["text", true, true], ["json", false, false]]);
});
