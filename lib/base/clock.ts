/**
 * Time as a part that is passed in, so that tests hold it in their hands.
 *
 * @module
 */

/** What the service needs to know of time. Disposing a timer stops it. */
export interface Clock {
  /** The time in milliseconds since the Unix epoch. */
  now(): number;
  /** Runs `run` once, `ms` milliseconds from now, unless disposed before. */
  after(ms: number, run: () => void): Disposable;
  /** Runs `run` every `ms` milliseconds until disposed. */
  every(ms: number, run: () => void): Disposable;
}

/**
 * The clock of the machine: the only place where real timers are made.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 *
 * using _timer = systemClock.every(15_000, () => console.log("keep-alive"));
 * ok(systemClock.now() > 1_700_000_000_000);
 * ```
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
};

/**
 * Resolves after `ms` milliseconds of `clock`.
 *
 * @param clock Whose time it is.
 * @param ms How long, in milliseconds.
 *
 * @example
 * ```ts
 * await wait(systemClock, 1);
 * ```
 */
export function wait(clock: Clock, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.after(ms, resolve);
  return promise;
}

/**
 * Resolves or rejects as `work` does, or rejects with what `late` makes once
 * `ms` milliseconds have passed. What `work` does after that is not heard of.
 *
 * @param clock Whose time it is.
 * @param ms How long `work` may take, in milliseconds.
 * @param work What is waited for.
 * @param late Makes the error of a deadline that passed.
 *
 * @example
 * ```ts
 * import { rejects } from "node:assert/strict";
 *
 * const never = new Promise<never>(() => {});
 * await rejects(within(systemClock, 1, never, () => new Error("too late")), /too late/);
 * ```
 */
export async function within<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  using _timer = clock.after(ms, () => reject(late()));
  // The race hears `work` to its end, so a rejection after the deadline is
  // not an unhandled one.
  return await Promise.race([work, promise]);
}
