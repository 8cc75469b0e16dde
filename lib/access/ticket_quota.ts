/**
 * Quota of the tickets that one token may have: each is a record in the store for each of
 * its pipelines, for as long as its session may last.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";

/** Number of tokens from which on those without a ticket that counts are forgotten. */
const MIN_SWEPT = 256;

/** Tolerance of sums of fractions of a millisecond, in milliseconds. */
const ROUNDING_MS = 0.5;

/** Options for {@linkcode TicketQuota}. */
export interface TicketQuotaOptions {
  /** Maximum number of records of a token's tickets in a period. */
  max: number;
  /** Length of the period, in milliseconds: the longest time that a ticket lasts. */
  periodMs: number;
  /** Clock that restores the quota. */
  runtime: Pick<Runtime, "clock">;
}

/**
 * A quota by the generic cell rate algorithm: a token may spend it at once, and it
 * is restored evenly over the period. So there are never more than twice as many
 * tickets of a token as it says.
 *
 * @see {@link https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm}
 */
export class TicketQuota {
  readonly #options: TicketQuotaOptions;
  /** Time at which all of a token's quota is restored, if that has not come yet. */
  readonly #restoredAt = new Map<string, number>();
  /** Number of tokens at which the map is swept. */
  #sweepAt = MIN_SWEPT;

  /** Creates a quota that no token has used. */
  constructor(options: TicketQuotaOptions) {
    this.#options = options;
  }

  /** Number of tokens that are remembered. */
  get size(): number {
    return this.#restoredAt.size;
  }

  /**
   * Counts a ticket: all of its records, or none over the quota.
   *
   * @param token ID of the token.
   * @param records Number of its records in the store: one for each pipeline.
   * @throws {RunnelError} `too-many-requests` over the quota.
   */
  count(token: string, records = 1): void {
    const { max, periodMs, runtime: { clock } } = this.#options;
    const now = clock.monotonic();
    const restoredAt = Math.max(now, this.#restoredAt.get(token) ?? now) +
      records * periodMs / max;
    if (restoredAt - now > periodMs + ROUNDING_MS) {
      throw new RunnelError(
        "too-many-requests",
        `Cannot issue a ticket: this token would have more than ${max}, one for each pipeline. ` +
          "Use those that it has, wait, or raise RUNNEL_MAX_TICKETS",
      );
    }
    this.#restoredAt.set(token, restoredAt);
    if (this.#restoredAt.size >= this.#sweepAt) this.#sweep(now);
  }

  #sweep(now: number): void {
    for (const [token, restoredAt] of this.#restoredAt) {
      if (restoredAt <= now) this.#restoredAt.delete(token);
    }
    this.#sweepAt = Math.max(MIN_SWEPT, 2 * this.#restoredAt.size);
  }
}
