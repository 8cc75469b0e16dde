/**
 * Reads a body piece by piece, for as long as it is open.
 *
 * @module
 */

import { type Clock, deadline, RunnelError, type Runtime } from "../base/mod.ts";
import { orStopped } from "./append_stop.ts";
import {
  assertComplete,
  assertNotEncoded,
  endedEarly,
  signalOfUnknownLength,
} from "./request_body.ts";

/** Time in which a client can read an answer before its connection is closed, in milliseconds. */
const LINGER_MS = 1000;

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
  try {
    while (true) {
      // The pause ends when a piece arrives: to take it may last longer, if the log is slow.
      const arriving = reader.read().catch(breakOff);
      const inTime = deadline(clock, idleMs, arriving, () => tooLongPause(idleMs));
      const { value, done } = await orStopped(inTime, stopped);
      if (done) break;
      yield value;
    }
    if (connection) await assertComplete(connection);
  } finally {
    reader.releaseLock();
  }
}

/** Options for {@linkcode leaveBody}. */
export interface LeaveOptions {
  /** Clock of the pause before the connection is closed. */
  clock: Clock;
  /** Settles when the answer is sent, or cannot be; `undefined` without a connection. */
  completed: Promise<unknown> | undefined;
}

/**
 * Leaves a body that its client may still send, once the answer to it is sent: over HTTP/1.1,
 * this closes the connection, after a pause in which the client can read the answer.
 *
 * The runtime closes it then only. It takes megabytes first of a body that was left before the
 * answer. A client that stalls keeps the connection until it sends something, or leaves.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9112#section-9.6}
 */
export function leaveBody(request: Request, { clock, completed }: LeaveOptions): void {
  const reader = request.body?.getReader();
  if (!reader) return;
  const leave = () => void reader.cancel().catch(() => {});
  // Over HTTP/2, the connection stays, with the room that this body has in it.
  if (!completed || signalOfUnknownLength(request)) return leave();
  completed.then(() => {
    const timer = clock.after(LINGER_MS, leave);
    const end = () => timer[Symbol.dispose]();
    reader.closed.then(end, end);
  }, leave);
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
