/**
 * Messages to the operator: levels, fields, and a limit of those that repeat.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { describeCause, redact, shorten } from "./log_text.ts";

/** Level of a message. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Levels of messages, from the most to the least of them. */
export const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Facts of a message, by their names. Those that are `undefined` are left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Options for a {@linkcode Reporter}. */
export interface ReportOptions {
  /** Level of the message. @default {"error"} with a cause, {"warn"} without */
  level?: LogLevel;
  /** Facts that differ from one message of its kind to the next. */
  fields?: LogFields;
  /** Whether it is written however often it repeats. @default {false} */
  unlimited?: boolean;
}

/**
 * Called with a message to the operator, and the error that caused it, if any.
 *
 * Messages with the same text are counted together. So a text has no part that clients
 * choose, and what differs is in the fields. Neither has a payload, a token or a ticket.
 */
export type Reporter = (message: string, cause?: unknown, options?: ReportOptions) => void;

/** A message as it is written. */
export interface LogRecord {
  /** Level of the message. */
  level: LogLevel;
  /** Time of the message, in milliseconds since the Unix epoch. */
  time: number;
  /** The message. */
  message: string;
  /** Its facts; the error that caused it is `error`. */
  fields: LogFields;
}

/** Options for {@linkcode createReporter}. */
export interface ReporterOptions {
  /** Clock of the times, and of the periods in which messages are counted. */
  clock: Clock;
  /** Called with each message that is to be written. */
  write: (record: LogRecord) => void;
  /** The lowest level that is written; `"off"` for none. @default {"info"} */
  level?: LogLevel | "off";
  /** Facts of all messages. @default {{}} */
  fields?: LogFields;
}

/** Maximum number of messages with one text in the first period; one in those that follow. */
const MAX_REPEATED = 5;

/** Length of the first period, in milliseconds. It begins with its first message. */
const PERIOD_MS = 10_000;

/** Maximum length of a period, in milliseconds. Each one that follows another is twice as long. */
const MAX_PERIOD_MS = 320_000;

/** Messages with one text in a period. */
interface Repeats {
  /** End of the period, in milliseconds of the monotonic clock. */
  end: number;
  /** Length of the period, in milliseconds. */
  length: number;
  /** Maximum number that is written. */
  max: number;
  count: number;
  /** Time of the last one, in milliseconds since the Unix epoch. */
  last: number;
}

/**
 * Creates a {@linkcode Reporter}. Five messages with the same text are written in ten
 * seconds; further ones are counted, and their number is written when that time is over.
 * If the text goes on to repeat, one message and the number of further ones are written in
 * 20 seconds, then in 40, up to 320: an outage of a night fills no disk with lines.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { systemClock as clock } from "./clock.ts";
 *
 * const lines: string[] = [];
 * const report = createReporter({ clock, write: ({ level, message }) => lines.push(level + message) });
 * report(": the disk is full");
 * report(": subscriber joined", undefined, { level: "debug" });
 * deepEqual(lines, ["warn: the disk is full"]);
 * ```
 */
export function createReporter(
  { clock, write, level: lowest = "info", fields: always = {} }: ReporterOptions,
): Reporter {
  const lowestRank = lowest === "off" ? Infinity : LOG_LEVELS.indexOf(lowest);
  const repeats = new Map<string, Repeats>();

  const writeNow = (level: LogLevel, message: string, fields: LogFields) =>
    write({ level, time: clock.now(), message, fields: { ...always, ...fields } });

  /** Counts a message, and returns whether it is one of the first in its period. */
  const countRepeat = (level: LogLevel, message: string): boolean => {
    const key = `${level} ${message}`;
    const now = clock.monotonic();
    const found = repeats.get(key);
    if (!found || now >= found.end) {
      if (!found) forgetEnded(now);
      const first = { end: now + PERIOD_MS, length: PERIOD_MS, max: MAX_REPEATED };
      repeats.set(key, { ...first, count: 1, last: clock.now() });
      return true;
    }
    found.last = clock.now();
    if (++found.count === found.max + 1) {
      clock.after(found.end - now, () => {
        const length = Math.min(2 * found.length, MAX_PERIOD_MS);
        const end = clock.monotonic() + length;
        repeats.set(key, { end, length, max: 1, count: 0, last: found.last });
        const repeated = found.count - found.max;
        const text = `${repeated} more in ${found.length / 1000} s: ${message}`;
        // It may be long ago when this is written.
        writeNow(level, text, { repeated, last: new Date(found.last).toISOString() });
      });
    }
    return found.count <= found.max;
  };

  const forgetEnded = (now: number) => {
    for (const [key, { end, max, count }] of repeats) {
      if (now >= end && count <= max) repeats.delete(key);
    }
  };

  return (message, cause, options = {}) => {
    const { level = cause === undefined ? "warn" : "error", unlimited = false } = options;
    if (LOG_LEVELS.indexOf(level) < lowestRank) return;
    const text = shorten(redact(message));
    if (!unlimited && !countRepeat(level, text)) return;
    writeNow(level, text, {
      ...cause !== undefined && { error: shorten(redact(describeCause(cause))) },
      ...cleanFields(options.fields),
    });
  };
}

function cleanFields(fields: LogFields = {}): LogFields {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === "string" ? shorten(redact(value)) : value,
    ]),
  );
}
