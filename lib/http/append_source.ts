/**
 * Reads a body piece by piece, for as long as it is open.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import {
  assertComplete,
  assertNotEncoded,
  endedEarly,
  signalOfUnknownLength,
} from "./request_body.ts";

/** Options for {@linkcode readPieces}. */
export interface SourceOptions {
  /** Clock for the pauses. */
  runtime: Pick<Runtime, "clock">;
  /** Longest pause of the body, in milliseconds. */
  idleMs: number;
  /** Aborted when reading is to stop, with the error as its reason. */
  stopped: AbortSignal;
}

/**
 * Reads the pieces of a body. The next one is read once the one before was taken.
 *
 * @throws {RunnelError} `request-timeout` after a pause that is too long,
 *   `malformed-request` if the body breaks off, `unsupported-media-type` if it is encoded;
 *   the reason with which it was stopped.
 */
export async function* readPieces(
  request: Request,
  { runtime: { clock }, idleMs, stopped }: SourceOptions,
): AsyncGenerator<Uint8Array, void> {
  assertNotEncoded(request);
  const connection = signalOfUnknownLength(request);
  if (!request.body) return;
  const reader = request.body.getReader();
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const stop = () => ended.reject(stopped.reason);
  if (stopped.aborted) stop();
  stopped.addEventListener("abort", stop);
  try {
    while (true) {
      using _timer = clock.after(idleMs, () => ended.reject(tooLongPause(idleMs)));
      const { value, done } = await Promise.race([reader.read().catch(breakOff), ended.promise]);
      if (done) break;
      yield value;
    }
    if (connection) await assertComplete(connection);
  } finally {
    stopped.removeEventListener("abort", stop);
    // What arrives after that is dropped by the runtime.
    reader.cancel().catch(() => {});
  }
}

function breakOff(cause: unknown): never {
  throw endedEarly({ cause });
}

function tooLongPause(ms: number): RunnelError {
  return new RunnelError(
    "request-timeout",
    `Cannot append: nothing arrived for ${ms} ms. Send blank lines or comments in pauses, or ` +
      "come back with the same Idempotency-Key",
  );
}
