/**
 * Clock, command lines, errors, reporter, runtime, semaphore and quota: knows
 * nothing of events.
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
export { isLoopback } from "./loopback.ts";
export { findNearest } from "./nearest.ts";
export { Quota } from "./quota.ts";
export { rememberLast } from "./remember_last.ts";
export { createReporter, describeCause, type Reporter } from "./report.ts";
export { type Runtime, systemRuntime } from "./runtime.ts";
export { Semaphore } from "./semaphore.ts";
export { startCommand, type StartCommandOptions } from "./start_command.ts";
