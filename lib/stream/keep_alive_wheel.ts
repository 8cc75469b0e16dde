/**
 * A timer wheel that keeps all streams of an isolate alive with one timer.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Subscriber } from "./subscriber.ts";

/** Number of slots, visited in turn: one pass over thousands of subscribers would stall the isolate. */
const SLOTS = 15;

/** The keep-alive timer of an isolate. */
export class KeepAliveWheel {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #ms: number;
  readonly #onRound: () => void;
  readonly #slots: Set<Subscriber>[] = Array.from({ length: SLOTS }, () => new Set());
  #size = 0;
  #next = 0;
  #timer: Disposable | null = null;

  /**
   * @param runtime Clock used for the timer.
   * @param ms Interval between two ticks of a subscriber, in milliseconds.
   * @param onRound Called after each round, as long as there are subscribers.
   */
  constructor(runtime: Pick<Runtime, "clock">, ms: number, onRound: () => void = () => {}) {
    this.#runtime = runtime;
    this.#ms = ms;
    this.#onRound = onRound;
  }

  /** Number of subscribers. */
  get size(): number {
    return this.#size;
  }

  /** Adds a subscriber, whose first tick is up to one interval away. */
  add(subscriber: Subscriber): void {
    let slot = this.#slots[(this.#next + SLOTS - 1) % SLOTS]!;
    // The slot with the fewest subscribers, so that a herd is spread out; of
    // those, the one whose turn is furthest away.
    for (let i = SLOTS - 2; i >= 0; i--) {
      const earlier = this.#slots[(this.#next + i) % SLOTS]!;
      if (earlier.size < slot.size) slot = earlier;
    }
    slot.add(subscriber);
    this.#size++;
    this.#timer ??= this.#runtime.clock.every(this.#ms / SLOTS, () => this.#visitSlot());
  }

  /** Removes a subscriber. */
  delete(subscriber: Subscriber): void {
    // Looked for once, instead of 50 bytes for each that remember where it is.
    if (!this.#slots.some((slot) => slot.delete(subscriber))) return;
    if (--this.#size > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #visitSlot(): void {
    const now = this.#runtime.clock.monotonic();
    for (const subscriber of this.#slots[this.#next]!) subscriber.tick(now);
    this.#next = (this.#next + 1) % SLOTS;
    if (this.#next === 0) this.#onRound();
  }
}
