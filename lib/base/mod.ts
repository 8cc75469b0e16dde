/**
 * Clock, errors, reports, chunks, runtime, semaphore and quota, with no notion of events.
 *
 * @module
 */

export { chunk } from "./chunk.ts";
export { type Clock, systemClock, wait, within } from "./clock.ts";
export { RunnelError, type RunnelErrorType } from "./errors.ts";
export { isLoopback } from "./loopback.ts";
export { Quota } from "./quota.ts";
export { createReport, describeCause, type Report } from "./report.ts";
export { type Runtime, systemRuntime } from "./runtime.ts";
export { Semaphore } from "./semaphore.ts";
