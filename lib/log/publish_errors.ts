/**
 * Errors of publishes that the log does not store, or may not have stored.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";

/** Returns the error of a request that was not stored because the store failed. */
export function notStored(cause: unknown): RunnelError {
  return new RunnelError(
    "log-unavailable",
    "Cannot publish: the log does not take events now. Nothing was stored; try again",
    { cause },
  );
}

/** Returns the error of a request that may have been stored. */
export function outcomeUnknown(cause?: unknown): RunnelError {
  return new RunnelError(
    "outcome-unknown",
    "Cannot confirm the publish: the log did not answer in time, and the events may have been " +
      "stored. Publish them again with the same Idempotency-Key, and they are stored once",
    { cause },
  );
}

/** Returns the error of a request whose pipeline has no room for its idempotency key. */
export function tooManyKeys(maxKeys: number): RunnelError {
  return new RunnelError(
    "too-many-requests",
    `Cannot publish: this pipeline has ${maxKeys} idempotency keys of the last 24 hours, and no ` +
      "room for more. Send more events with each, publish without one, or wait",
  );
}

/** Returns the error of a request whose pipeline has ended. */
export function runEnded(pipeline: string): RunnelError {
  return new RunnelError(
    "run-ended",
    `Cannot publish: the run of ${pipeline} has ended. Publish to another pipeline, or delete ` +
      "this one to begin anew",
  );
}

/** Returns the error of a part of an append with which another connection goes on. */
export function superseded(): RunnelError {
  return new RunnelError(
    "append-superseded",
    "Cannot append: another connection goes on with the append of this Idempotency-Key",
  );
}

/** Returns the error of an append that is to begin after events that do not stand. */
export function beginsTooLate(before: number, stands: number): RunnelError {
  return new RunnelError(
    "malformed-request",
    `Cannot append: the body begins after ${before} events, and ${stands} of them stand. ` +
      "Begin it there",
  );
}

/** Returns the error of a request whose idempotency key was used with other events. */
export function keyReused(): RunnelError {
  return new RunnelError(
    "key-reused",
    "Cannot publish: this Idempotency-Key was used with other events. Use a new key",
  );
}
