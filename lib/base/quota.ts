/**
 * Limits on amounts that are held for a while, such as connections or bytes.
 *
 * @module
 */

/** A per-owner quota: each owner may hold up to the same amount at once. */
export class Quota {
  readonly #max: number;
  /** The amount that each owner holds, if any: an idle owner takes no memory. */
  readonly #inUse = new Map<string, number>();

  /** @param max Maximum amount per owner. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Returns the amount that an owner holds now. */
  inUse(owner: string): number {
    return this.#inUse.get(owner) ?? 0;
  }

  /**
   * Acquires an amount for an owner until the result is disposed. Disposing it
   * again changes nothing.
   *
   * @returns `null` if the owner would exceed the maximum; nothing is held then.
   */
  acquire(owner: string, amount = 1): Disposable | null {
    const inUse = this.inUse(owner) + amount;
    if (inUse > this.#max) return null;
    this.#inUse.set(owner, inUse);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const rest = this.inUse(owner) - amount;
        if (rest > 0) this.#inUse.set(owner, rest);
        else this.#inUse.delete(owner);
      },
    };
  }
}
