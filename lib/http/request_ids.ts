/**
 * IDs of requests, by which an operator finds in the log what a client was told.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";

/** Header that has the ID, in requests of a trusted proxy and in all responses. */
export const REQUEST_ID_HEADER = "X-Request-Id";

/** IDs that are taken from a proxy. */
const WELL_FORMED = /^[A-Za-z0-9][A-Za-z0-9._:-]{7,127}$/;

/**
 * All pairs of digits of base 36. An ID has eight: 82 random bits. From a table, that takes
 * 0.3 of the 40 µs of a publish, a quarter of what formatting large numbers takes.
 */
const PAIRS = Array.from({ length: 36 ** 2 }, (_, pair) => pair.toString(36).padStart(2, "0"));

/** Assigns IDs to requests. */
export class RequestIds {
  readonly #isTrusted: boolean;
  readonly #random: () => number;

  /**
   * @param config Number of trusted proxies: what they send is taken.
   * @param runtime Random numbers of the IDs.
   */
  constructor(
    { trustedProxies }: Pick<Config, "trustedProxies">,
    runtime: Pick<Runtime, "random">,
  ) {
    this.#isTrusted = trustedProxies > 0;
    this.#random = runtime.random;
  }

  /** Returns the ID of a request: that of a trusted proxy if it is well-formed, or a new one. */
  of(headers: Headers): string {
    const given = this.#isTrusted ? headers.get(REQUEST_ID_HEADER) : null;
    return given !== null && WELL_FORMED.test(given) ? given : this.#mint();
  }

  #mint(): string {
    return this.#part() + this.#part() + this.#part() + this.#part();
  }

  /** Returns four random digits. */
  #part(): string {
    const number = Math.floor(this.#random() * PAIRS.length ** 2);
    return PAIRS[Math.floor(number / PAIRS.length)]! + PAIRS[number % PAIRS.length]!;
  }
}
