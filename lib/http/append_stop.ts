/**
 * The reasons for which a streaming append ends before its body does.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";

/** Reasons of an append to end. */
export interface StopReasons {
  /** Aborted when the instance begins to drain, with the error as its reason. */
  draining: AbortSignal;
  /** Aborted before the server closes its connections. */
  shutdown: AbortSignal | undefined;
  /** Time at which the token ends, in milliseconds since the Unix epoch; `Infinity` for never. */
  endsAt: number;
  /** Clock for that. */
  clock: Clock;
}

/** Longest time of a timer of the platform, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Tells an append to end, for the first reason that comes. */
export class AppendStop implements Disposable {
  readonly #controller = new AbortController();
  readonly #held = new DisposableStack();

  constructor({ draining, shutdown, endsAt, clock }: StopReasons) {
    this.#follow(draining, () => draining.reason);
    if (shutdown) this.#follow(shutdown, closing);
    const left = endsAt - clock.now();
    if (left < MAX_TIMER_MS) this.#held.use(clock.after(left, () => this.because(expired())));
  }

  /** Signal that is aborted then, with the error as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the append with an error, unless there was a reason before. */
  because(error: unknown): void {
    this.#controller.abort(error);
  }

  #follow(signal: AbortSignal, reason: () => unknown): void {
    const stop = () => this.because(reason());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    this.#held.defer(() => signal.removeEventListener("abort", stop));
  }

  /** Leaves the reasons. */
  [Symbol.dispose](): void {
    this.#held.dispose();
  }
}

/**
 * Settles as some work does, or rejects with the reason of a signal. It leaves nothing at
 * the signal: a race with a promise that outlives it would keep its result for as long.
 */
export async function orStopped<T>(work: Promise<T>, stopped: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(stopped.reason);
  if (stopped.aborted) stop();
  stopped.addEventListener("abort", stop);
  try {
    return await Promise.race([work, promise]);
  } finally {
    stopped.removeEventListener("abort", stop);
  }
}

function closing(): RunnelError {
  return new RunnelError(
    "overloaded",
    "Cannot append: the instance has to close the connection. Try again on another one",
  );
}

function expired(): RunnelError {
  return new RunnelError("unauthorized", "Cannot append: the token has expired. Use a new one");
}
