/**
 * Time as a part that is passed in, so that a test can control it.
 *
 * @module
 */

/** A source of time and timers. Disposing a timer stops it, however often. */
export interface Clock {
  /**
   * Returns the wall clock's time in milliseconds since the Unix epoch: for times
   * that are stored or told. It may be wrong, and it may be set at any moment.
   */
  now(): number;
  /**
   * Returns a time in milliseconds that only grows, at the pace of real time:
   * for ages and deadlines. It means nothing to another process or isolate.
   */
  monotonic(): number;
  /**
   * Runs `run` once, `ms` milliseconds from now, unless disposed before. A negative time is
   * that of a deadline that has passed, and counts as 0.
   */
  after(ms: number, run: () => void): Disposable;
  /** Runs `run` every `ms` milliseconds until disposed. */
  every(ms: number, run: () => void): Disposable;
  /**
   * Runs `run` once, in the next turn of the event loop: after what is ready now, and
   * after the runtime has sent what was passed to it. Not if disposed before.
   */
  nextTurn(run: () => void): Disposable;
}

/** Clock of the system: the only place where real timers are started. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.max(ms, 0));
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
  nextTurn(run) {
    const turn = setImmediate(run);
    return { [Symbol.dispose]: () => clearImmediate(turn) };
  },
};

/** Resolves after `ms` milliseconds of `clock`. */
export function delay(clock: Clock, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.after(ms, resolve);
  return promise;
}

/**
 * Settles as `work` does, or rejects with the error that `late` creates once
 * `ms` milliseconds have passed. The result of `work` is ignored after that.
 *
 * @param ms Duration that `work` may take, in milliseconds.
 * @param late Creates the error of a missed deadline; not called otherwise.
 */
export async function deadline<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  using _timer = clock.after(ms, () => reject(late()));
  // The race handles `work` to its end, so a rejection after the deadline is
  // not an unhandled one.
  return await Promise.race([work, promise]);
}
