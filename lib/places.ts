/**
 * How many connections an isolate takes.
 *
 * @module
 */

import { RunnelError } from "./errors.ts";

/** The places for subscribers: those that are here or on their way, and connections that outlive theirs. */
export class Places {
  readonly #max: number;
  #taken = 0;

  /**
   * Makes free places.
   *
   * @param max How many.
   */
  constructor(max: number) {
    this.#max = max;
  }

  /** How many are taken. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes a place.
   *
   * @returns Gives it back, once.
   * @throws {RunnelError} `overloaded` if none is free.
   *
   * @example
   * ```ts
   * import { strictEqual as equal, throws } from "node:assert/strict";
   *
   * const places = new Places(1);
   * const leave = places.take();
   * throws(() => places.take(), { type: "overloaded" });
   * leave();
   * equal(places.taken, 0);
   * ```
   */
  take(): () => void {
    if (this.#taken >= this.#max) {
      throw new RunnelError("overloaded", "Cannot subscribe: this instance is full. Try again");
    }
    this.#taken++;
    let isTaken = true;
    return () => {
      if (isTaken) this.#taken--;
      isTaken = false;
    };
  }
}
