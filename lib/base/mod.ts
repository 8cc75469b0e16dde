/**
 * Clock, turns, command lines, errors, reporter, runtime, semaphore and quota:
 * knows nothing of events.
 *
 * @module
 */

export { chunk } from "./chunk.ts";
export { type Clock, deadline, delay, systemClock } from "./clock.ts";
export {
  type Arguments,
  type Command,
  type CommandOptions,
  readArguments,
  runCommand,
  UsageError,
} from "./command_line.ts";
export { RunnelError, type RunnelErrorType } from "./errors.ts";
export { isTextFormat, LOG_FORMATS, type LogFormat } from "./log_format.ts";
export { describeCause, redact } from "./log_text.ts";
export { isLoopback } from "./loopback.ts";
export { findNearest } from "./nearest.ts";
export { Quota } from "./quota.ts";
export { rememberLast } from "./remember_last.ts";
export {
  createReporter,
  LOG_LEVELS,
  type LogFields,
  type LogLevel,
  type LogRecord,
  type Reporter,
  type ReporterOptions,
  type ReportOptions,
} from "./report.ts";
export { createRuntime, type Runtime, type RuntimeOptions, systemRuntime } from "./runtime.ts";
export { Semaphore } from "./semaphore.ts";
export { startCommand, type StartCommandOptions } from "./start_command.ts";
export { Turns } from "./turns.ts";
