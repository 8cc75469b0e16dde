/**
 * The surroundings of a service, in one object that is passed whole: a test
 * replaces them, and a further part of them changes no constructor.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";
import { createFormatter, type LogFormat } from "./log_format.ts";
import { createReporter, type LogRecord, type Reporter, type ReporterOptions } from "./report.ts";

/** Clock, random numbers and reporter of a service. */
export interface Runtime {
  /** Clock used for timers and deadlines. */
  clock: Clock;
  /** Returns a random number from 0 up to 1, for jitter. */
  random: () => number;
  /** Called with messages to the operator, errors that no client receives among them. */
  report: Reporter;
}

/** Options for {@linkcode createRuntime}. */
export interface RuntimeOptions extends Pick<ReporterOptions, "level" | "fields"> {
  /** Format of the lines. @default {"auto"} */
  format?: LogFormat;
}

/**
 * Creates the runtime of the system: its clock, `Math.random`, and a reporter that writes
 * warnings and errors to standard error, and other messages to standard output.
 */
export function createRuntime({ format = "auto", ...options }: RuntimeOptions = {}): Runtime {
  return {
    clock: systemClock,
    random: Math.random,
    report: createReporter({ ...options, clock: systemClock, write: createWriter(format) }),
  };
}

/** Creates a function that writes a record as one line, in one call: isolates share the streams. */
function createWriter(format: LogFormat): (record: LogRecord) => void {
  const colors = !Deno.noColor;
  const toOutput = createFormatter(format, { isTerminal: Deno.stdout.isTerminal(), colors });
  const toErrors = createFormatter(format, { isTerminal: Deno.stderr.isTerminal(), colors });
  return (record) => {
    const isError = record.level === "warn" || record.level === "error";
    console[record.level]((isError ? toErrors : toOutput)(record));
  };
}

/** Runtime of the system, which writes messages from the level `info`. */
export const systemRuntime: Runtime = createRuntime();
