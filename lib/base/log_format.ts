/**
 * Formats of log lines: for people, and for programs that collect them.
 *
 * @module
 */

import {
  type AnsiColorFormatterOptions,
  getAnsiColorFormatter,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogRecord as TapeRecord,
  type TextFormatter,
} from "@logtape/logtape";
import { escapeControls } from "./log_text.ts";
import type { LogFields, LogRecord } from "./report.ts";

/** Format of log lines. `"auto"` is text on a terminal, and JSON elsewhere. */
export type LogFormat = "auto" | "text" | "json";

/** Formats of log lines. */
export const LOG_FORMATS: readonly LogFormat[] = ["auto", "text", "json"];

/** Returns the line of a record, without its end. */
export type LogFormatter = (record: LogRecord) => string;

/** Whether a stream gets text. */
export function isTextFormat(format: LogFormat, isTerminal: boolean): boolean {
  return format === "text" || format === "auto" && isTerminal;
}

/** Name of the logger in JSON. */
const CATEGORY = ["runnel"];

const TEXT = {
  timestamp: "rfc3339",
  level: (level) => (level === "warning" ? "WARN" : level.toUpperCase()).padEnd(5),
  // The fields follow the text, which the formatter would otherwise leave out.
  format: ({ timestamp, level, message, record: { properties } }) =>
    `${timestamp} ${level} ${message}${formatFields(properties as LogFields)}`,
} satisfies AnsiColorFormatterOptions;

/**
 * Creates the formatter of a stream.
 *
 * @param format The format; `"auto"` chooses by `isTerminal`.
 * @param isTerminal Whether people see the lines at once.
 * @param colors Whether a terminal gets colors.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const format = createFormatter("text", { isTerminal: false });
 * equal(
 *   format({ level: "warn", time: 0, message: "The disk is full", fields: { isolate: 2 } }),
 *   "1970-01-01T00:00:00.000Z WARN  The disk is full isolate=2",
 * );
 * ```
 */
export function createFormatter(
  format: LogFormat,
  { isTerminal, colors = false }: { isTerminal: boolean; colors?: boolean },
): LogFormatter {
  if (!isTextFormat(format, isTerminal)) {
    return apply(getJsonLinesFormatter({ categorySeparator: ".", properties: "flatten" }));
  }
  const text = apply(isTerminal && colors ? getAnsiColorFormatter(TEXT) : getTextFormatter(TEXT));
  return (record) => text({ ...record, message: escapeControls(record.message) });
}

function apply(format: TextFormatter): LogFormatter {
  return (record) => format(toTapeRecord(record)).trimEnd();
}

function toTapeRecord({ level, time, message, fields }: LogRecord): TapeRecord {
  return {
    category: CATEGORY,
    level: level === "warn" ? "warning" : level,
    timestamp: time,
    message: [message],
    rawMessage: message,
    properties: fields,
  };
}

/** Returns the cause after a colon, and the other fields by their names. */
function formatFields({ error, ...fields }: LogFields): string {
  const cause = error === undefined ? "" : `: ${escapeControls(String(error))}`;
  const others = Object.entries(fields).map(([name, value]) => ` ${name}=${quote(value)}`);
  return cause + others.join("");
}

function quote(value: LogFields[string]): string {
  const text = String(value);
  return /^[\w./:{}+@,-]+$/.test(text) ? text : escapeControls(JSON.stringify(text));
}
