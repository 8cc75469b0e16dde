/**
 * The places for subscribers: those that are here or on their way, and
 * connections that outlive theirs.
 *
 * @module
 */

import { Places, RunnelError } from "../base/mod.ts";

/** How many subscribers are taken. */
export interface SubscriberLimits {
  /** In all. */
  maxSubscribers: number;
  /** For one pipeline. */
  maxPipelineSubscribers: number;
  /** From one address. */
  maxAddressSubscribers: number;
}

/** The places for subscribers of an isolate. */
export class SubscriberPlaces {
  readonly #all: Places;
  readonly #byPipeline: Places;
  readonly #byAddress: Places;

  /**
   * Makes free places.
   *
   * @param limits How many.
   */
  constructor(limits: SubscriberLimits) {
    this.#all = new Places(limits.maxSubscribers);
    this.#byPipeline = new Places(limits.maxPipelineSubscribers);
    this.#byAddress = new Places(limits.maxAddressSubscribers);
  }

  /** How many are taken. */
  get taken(): number {
    return this.#all.taken("");
  }

  /**
   * Takes a place.
   *
   * @param pipeline Whose subscriber it is.
   * @param address The client's address; `null` for one that is not counted by it.
   * @returns Gives it back, once.
   * @throws {RunnelError} `overloaded` or `too-many-requests` if none is free.
   *
   * @example
   * ```ts
   * import { throws } from "node:assert/strict";
   *
   * const places = new SubscriberPlaces({
   *   maxSubscribers: 10,
   *   maxPipelineSubscribers: 10,
   *   maxAddressSubscribers: 1,
   * });
   * places.take("p_a", "192.0.2.1");
   * throws(() => places.take("p_b", "192.0.2.1"), { type: "too-many-requests" });
   * ```
   */
  take(pipeline: string, address: string | null): () => void {
    const taken: (() => void)[] = [];
    const leave = () => taken.forEach((leave) => leave());
    const take = (places: Places, owner: string, refusal: () => RunnelError) => {
      const place = places.take(owner);
      if (place) return void taken.push(place);
      leave();
      throw refusal();
    };
    take(this.#all, "", () => full("this instance is full"));
    take(this.#byPipeline, pipeline, () => full("this pipeline is full here"));
    if (address !== null) {
      take(this.#byAddress, address, () =>
        new RunnelError(
          "too-many-requests",
          "Cannot subscribe: this address has too many streams. Close one",
        ));
    }
    return leave;
  }
}

function full(what: string): RunnelError {
  return new RunnelError("overloaded", `Cannot subscribe: ${what}. Try again`);
}
