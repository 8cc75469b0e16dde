/**
 * Keeps all streams of an isolate alive with one timer.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Subscriber } from "./subscriber.ts";

/** Subscribers take turns in slots: one pass over thousands would stall the isolate. */
const SLOTS = 15;

/** The keep-alives of an isolate. */
export class KeepAliveWheel {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #ms: number;
  readonly #slots: Set<Subscriber>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #slotOf = new Map<Subscriber, Set<Subscriber>>();
  #next = 0;
  #timer: Disposable | null = null;

  /**
   * Makes a keep-alive with nobody to keep alive.
   *
   * @param runtime Clock used for the timer.
   * @param ms The time between two keep-alives of a stream, in milliseconds.
   */
  constructor(runtime: Pick<Runtime, "clock">, ms: number) {
    this.#runtime = runtime;
    this.#ms = ms;
  }

  /** How many subscribers are kept alive. */
  get size(): number {
    return this.#slotOf.size;
  }

  /**
   * Takes a subscriber in.
   *
   * @param subscriber Who is to be kept alive from now on.
   */
  add(subscriber: Subscriber): void {
    let slot = this.#slots[(this.#next + SLOTS - 1) % SLOTS]!;
    // The one with the fewest, so that a herd is spread out; of those the one
    // whose turn is furthest away.
    for (let i = SLOTS - 2; i >= 0; i--) {
      const earlier = this.#slots[(this.#next + i) % SLOTS]!;
      if (earlier.size < slot.size) slot = earlier;
    }
    slot.add(subscriber);
    this.#slotOf.set(subscriber, slot);
    this.#timer ??= this.#runtime.clock.every(this.#ms / SLOTS, () => this.#turn());
  }

  /**
   * Lets a subscriber go.
   *
   * @param subscriber Who is gone.
   */
  delete(subscriber: Subscriber): void {
    this.#slotOf.get(subscriber)?.delete(subscriber);
    this.#slotOf.delete(subscriber);
    if (this.#slotOf.size > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #turn(): void {
    const now = this.#runtime.clock.now();
    for (const subscriber of this.#slots[this.#next]!) subscriber.tick(now);
    this.#next = (this.#next + 1) % SLOTS;
  }
}
