/**
 * The load that an isolate would have if each event were written by itself.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";

/** Time in which what was counted loses its weight, in milliseconds. */
const DECAY_MS = 100;

/** Cost of a write before it was measured, in milliseconds. */
const INITIAL_COST_MS = 0.01;

/** Number of writes after which a measured cost has replaced the one before, by and large. */
const COST_WRITES = 1000;

/** Multiple of the cost so far that a measure counts as at most: other work may be in it. */
const MAX_RISE = 2;

/** Measures the cost of a write, and the time that all writes would take. */
export class WriteLoad {
  readonly #clock: Pick<Clock, "monotonic">;
  #costMs = INITIAL_COST_MS;
  /** Time that the writes would take, decayed, in milliseconds. */
  #workMs = 0;
  #at = 0;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** Cost of a write, in milliseconds. */
  get costMs(): number {
    return this.#costMs;
  }

  /** Counts deliveries that are asked for: events times subscribers. */
  demanded(deliveries: number): void {
    this.#workMs = this.#decayed() + deliveries * this.#costMs;
    this.#at = this.#clock.monotonic();
  }

  /** Counts the time that a number of writes took, in milliseconds. */
  measured(writes: number, ms: number): void {
    if (writes === 0) return;
    const costMs = Math.min(ms / writes, MAX_RISE * this.#costMs);
    this.#costMs += (costMs - this.#costMs) * Math.min(1, writes / COST_WRITES);
  }

  /**
   * Time that the deliveries asked for would take as writes of their own, as a share of
   * the time that there is: 1 if writing would never pause.
   */
  get demand(): number {
    return this.#decayed() / DECAY_MS;
  }

  #decayed(): number {
    return this.#workMs * Math.exp((this.#at - this.#clock.monotonic()) / DECAY_MS);
  }
}
