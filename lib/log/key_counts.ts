/**
 * Counts the idempotency keys of a pipeline in its head, by the hour in which they
 * were used: so a limit costs no scan, and what is counted is committed with the
 * records.
 *
 * @module
 */

import { KEY_LIFETIME_MS } from "./idempotency.ts";

/** Keys of one hour: hours since the Unix epoch, and number of keys. */
export type KeyCount = [hour: number, count: number];

const HOUR_MS = 60 * 60 * 1000;

/**
 * Maximum number of hours that are counted on their own: more than a day has, for a
 * clock that was set. The two earliest are counted as one beyond it.
 */
const MAX_HOURS = 30;

/** Returns the counts of keys whose records may still exist. */
function current(counts: readonly KeyCount[], now: number): readonly KeyCount[] {
  return counts.filter(([hour]) => now < (hour + 1) * HOUR_MS + KEY_LIFETIME_MS);
}

/** Returns the number of keys that are on record: an hour too long at most. */
export function countKeys(counts: readonly KeyCount[], now: number): number {
  return current(counts, now).reduce((sum, [, count]) => sum + count, 0);
}

/**
 * Returns the counts after a commit.
 *
 * @param added Number of keys that it used, at `time`.
 * @param now The time of the wall clock, in milliseconds since the Unix epoch.
 */
export function addKeys(
  counts: readonly KeyCount[],
  { added, time, now }: { added: number; time: number; now: number },
): KeyCount[] {
  const next = new Map(current(counts, now));
  const hour = Math.floor(time / HOUR_MS);
  if (added > 0) next.set(hour, (next.get(hour) ?? 0) + added);
  const sorted = [...next].sort(([a], [b]) => a - b);
  if (sorted.length > MAX_HOURS) {
    const [[, count]] = sorted.splice(0, 1) as [KeyCount];
    sorted[0]![1] += count;
  }
  return sorted;
}
