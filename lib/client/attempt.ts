/**
 * One connection of a subscription.
 *
 * @module
 */

import type { ClientClock } from "./subscribe_options.ts";

/** Longest time between two looks at the clock, in milliseconds. */
const CHECK_MS = 5_000;

/** Time after which bytes are no part of the beginning of a stream any more, in milliseconds. */
const BEGINNING_MS = 1_000;

/**
 * One connection, with a watchdog that cuts it if nothing arrives. The watchdog looks at the wall
 * clock every few seconds: a timer alone stands still while the machine sleeps, and would then
 * start the whole time again.
 */
export class Attempt {
  /**
   * Time without a byte after which it is cut, in milliseconds. It may change between two waits.
   * If it is infinite, nothing cuts it: a user may be asked for a token, and look it up elsewhere.
   */
  limitMs = Infinity;
  /** Whether the watchdog has cut it. */
  isStalled = false;
  /** Whether it reached the marker between history and new events. */
  wasLive = false;
  /** Whether something arrived after its beginning. */
  flowed = false;
  /** Whether it ended without an error. */
  isClean = false;
  /** Reader of the answer, once there is one. */
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #clock: ClientClock;
  readonly #startedAt: number;
  readonly #controller = new AbortController();
  /** Aborted when it is cut, or not needed any more. */
  readonly signal: AbortSignal = this.#controller.signal;
  #liveAt = Infinity;
  /** When it began to wait for a piece. */
  #since = 0;
  #cancelTimer = () => {};
  /** Rejects the work that is awaited; absent while there is none. */
  #reject: ((reason: Error) => void) | undefined;

  /** Begins an attempt. */
  constructor(clock: ClientClock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** Its duration so far, in milliseconds. */
  get ms(): number {
    return this.#clock.now() - this.#startedAt;
  }

  /** Called when the marker of a pipeline has arrived, with the time limit from then on. */
  live(limitMs: number): void {
    this.wasLive = true;
    this.limitMs = limitMs;
    this.#liveAt = this.#clock.now();
  }

  /** Reads the next piece of the answer; `undefined` at its end. */
  async read(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.wait(this.reader!.read());
    this.isClean = done;
    this.flowed ||= !done && this.#clock.now() - this.#liveAt >= BEGINNING_MS;
    return value;
  }

  /**
   * Waits for something to arrive. Not by a `Promise.race`, which would keep each piece of a long
   * stream until its end; and what is awaited may ignore the signal.
   *
   * @throws {Error} If the connection ends meanwhile.
   */
  async wait<T>(work: Promise<T>): Promise<T> {
    this.#since = this.#clock.now();
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#reject = reject;
        work.then(resolve, reject);
        if (this.signal.aborted) reject(this.signal.reason);
        this.check();
      });
    } finally {
      this.#reject = undefined;
      this.#cancelTimer();
    }
  }

  /**
   * Cuts the connection if nothing has arrived for some time.
   *
   * @param limitMs That time, in milliseconds.
   */
  check(limitMs: number = this.limitMs): void {
    if (!this.#reject || this.limitMs === Infinity) return;
    const now = this.#clock.now();
    // The clock may have been set back.
    this.#since = Math.min(this.#since, now);
    const silentMs = now - this.#since;
    this.#cancelTimer();
    if (silentMs < limitMs) {
      const ms = Math.min(limitMs - silentMs, CHECK_MS);
      this.#cancelTimer = this.#clock.after(ms, () => this.check());
    } else {
      this.isStalled = true;
      this.end(`Nothing arrived for ${Math.round(silentMs / 1000)} seconds`);
    }
  }

  /** Ends the connection. */
  end(reason = "closed"): void {
    this.#controller.abort(new Error(reason));
    this.#reject?.(this.signal.reason);
    this.reader?.cancel().catch(() => {});
  }
}
