/**
 * The part of a pipeline's retained events that a client gets as their history.
 *
 * @module
 */

/** Range of a history: the newest events since a time, up to a number of them. */
export interface HistoryRange {
  /** Maximum number of events; `Infinity` for all that are retained. */
  count: number;
  /** Time from which on they were accepted, in milliseconds since the Unix epoch; `-Infinity` for any. */
  since: number;
}

/**
 * Returns the range of the newest events, whenever they were accepted.
 *
 * @param count Maximum number of events; `Infinity` for all that are retained.
 */
export function rangeOfNewest(count: number): HistoryRange {
  return { count, since: -Infinity };
}
