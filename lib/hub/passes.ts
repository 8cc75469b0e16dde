/**
 * The passes of the fan-out of one pipeline, one at a time, and the rests between them.
 *
 * @module
 */

import type { Clock, Runtime } from "../base/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import type { WriteLoad } from "./write_load.ts";

/** Rest after a pass, as a multiple of the time that it took. */
const REST_FACTOR = 2;

/** Maximum rest after a pass, in milliseconds. */
const MAX_REST_MS = 20;

/**
 * Demand beyond which passes are followed by a rest. With one publisher that waits for
 * each answer, slices alone hold the demand at two thirds, so a threshold below one
 * would not be told from a gentle load.
 */
const MAX_DEMAND = 1.2;

/** The subscribers of one pipeline, as a pass takes them. */
export interface Audience {
  /** Returns the number of subscribers. */
  size(): number;
  /** Shows the newest events from now on, and returns the subscribers. */
  reveal(): Iterator<{ wake(): void }>;
  /**
   * Called when all have been written to.
   *
   * @param ms Time since the oldest event was to be sent, in milliseconds.
   */
  written?(ms: number): void;
}

/** Parts of the runtime that a fan-out uses. */
export interface FanOutRuntime extends Pick<Runtime, "report"> {
  /** Clock for rests, and for turns of the event loop, which also measure the writes. */
  clock: Pick<Clock, "monotonic" | "after" | "nextTurn">;
}

/** Metrics of passes. */
export type FanOutMetrics = Pick<Metrics, "fanOutDelay">;

/** Options for {@linkcode Passes}. */
export interface PassesOptions {
  runtime: FanOutRuntime;
  /** Load by which a pass is followed by a rest. */
  load: WriteLoad;
  metrics: FanOutMetrics;
  /** Called when a pass is due: it is to be given slices from now on. */
  enqueue: (passes: Passes) => void;
  /** Called when no slice is wanted any more. */
  dequeue: (passes: Passes) => void;
}

/** The passes of one pipeline. */
export class Passes implements Disposable {
  readonly #audience: Audience;
  readonly #options: PassesOptions;
  /** Subscribers that are still to be woken in the pass in progress. */
  #rest: Iterator<{ wake(): void }> | null = null;
  /** Whether a pass is in progress, or one is due. */
  #isDue = false;
  /** Whether there is more to be seen than the pass in progress shows. */
  #isOutdated = false;
  /** Time of the oldest event that waits for the pass that is due or in progress … */
  #since = 0;
  /** … and for the one after it, in milliseconds of the monotonic clock. */
  #nextSince = 0;
  /** Time that the pass in progress has taken, in milliseconds. */
  #tookMs = 0;
  /** Time at which the rest after the last pass ends, in milliseconds of the monotonic clock. */
  #restsUntil = 0;
  #timer: Disposable | null = null;
  #disposed = false;

  constructor(audience: Audience, options: PassesOptions) {
    this.#audience = audience;
    this.#options = options;
  }

  /** Has the subscribers woken soon, because there are that many events more. */
  request(events: number): void {
    this.#options.load.demanded(events * this.#audience.size());
    if (!this.#isDue) return this.#schedule(this.#options.runtime.clock.monotonic());
    if (this.#rest === null || this.#isOutdated) return;
    this.#isOutdated = true;
    this.#nextSince = this.#options.runtime.clock.monotonic();
  }

  #schedule(since: number): void {
    if (this.#disposed) return;
    this.#since = since;
    const { runtime: { clock }, enqueue } = this.#options;
    this.#isDue = true;
    const ms = this.#restsUntil - clock.monotonic();
    if (ms <= 0) return enqueue(this);
    this.#timer = clock.after(ms, () => {
      this.#timer = null;
      enqueue(this);
    });
  }

  /** Wakes up to a number of subscribers in the pass, which begins if none is in progress. */
  wake(limit: number): { woken: number; isWhole: boolean } {
    this.#rest ??= this.#audience.reveal();
    for (let woken = 0; woken < limit; woken++) {
      const { done, value } = this.#rest.next();
      if (done) return { woken, isWhole: true };
      try {
        value.wake();
      } catch (error) {
        // Not a reason to leave out those that follow.
        this.#options.runtime.report("Cannot wake a subscriber", error);
      }
    }
    return { woken: limit, isWhole: false };
  }

  /** Counts the time of a slice, which may have ended the pass. */
  took(ms: number, isWhole: boolean): void {
    this.#tookMs += ms;
    if (!isWhole) return;
    const { runtime: { clock }, load, metrics } = this.#options;
    const now = clock.monotonic();
    if (this.#audience.size() > 0) {
      metrics.fanOutDelay.record((now - this.#since) / 1000);
      this.#audience.written?.(now - this.#since);
    }
    const isExcessive = load.demand > MAX_DEMAND;
    const restMs = isExcessive ? Math.min(REST_FACTOR * this.#tookMs, MAX_REST_MS) : 0;
    this.#restsUntil = now + restMs;
    this.#tookMs = 0;
    this.#rest = null;
    this.#isDue = false;
    if (!this.#isOutdated) return;
    this.#isOutdated = false;
    this.#schedule(this.#nextSince);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#options.dequeue(this);
  }
}
