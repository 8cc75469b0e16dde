/**
 * The range of a history in a query.
 *
 * @module
 */

import { type HistoryRange, readSince } from "../protocol/mod.ts";

/** Parameters of a history, which the schema of the query has validated. */
export interface RangeQuery {
  /** Maximum number of events, or `all`. */
  history?: string | undefined;
  /** Date, or duration before now. */
  since?: string | undefined;
}

/**
 * Returns the range of a history. With a time, all events since then are meant, unless a
 * number is given as well.
 *
 * @param now The time now, in milliseconds since the Unix epoch.
 * @returns `undefined` if neither is given: the configured history is meant.
 */
export function readRange(
  { history, since }: RangeQuery,
  now: number,
): HistoryRange | undefined {
  if (history === undefined && since === undefined) return undefined;
  return {
    count: history === undefined || history === "all" ? Infinity : Number(history),
    since: since === undefined ? -Infinity : readSince(since, now)!,
  };
}
