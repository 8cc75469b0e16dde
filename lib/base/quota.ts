/**
 * How many connections are taken: in all, for one pipeline, from one address.
 *
 * @module
 */

/** Places that each of several owners has so many of. */
export class Places {
  readonly #max: number;
  readonly #taken = new Map<string, number>();

  /**
   * Makes free places.
   *
   * @param max How many each owner has.
   */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * How many are taken.
   *
   * @param owner Whose.
   */
  taken(owner: string): number {
    return this.#taken.get(owner) ?? 0;
  }

  /**
   * Takes a place.
   *
   * @param owner Whose.
   * @returns Gives it back, once; `null` if none is free.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   *
   * const places = new Places(1);
   * const leave = places.take("p_a")!;
   * equal(places.take("p_a"), null);
   * leave();
   * equal(places.taken("p_a"), 0);
   * ```
   */
  take(owner: string): (() => void) | null {
    const taken = this.taken(owner);
    if (taken >= this.#max) return null;
    this.#taken.set(owner, taken + 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const rest = this.taken(owner) - 1;
      if (rest > 0) this.#taken.set(owner, rest);
      else this.#taken.delete(owner);
    };
  }
}
