/**
 * Medians, spreads and ratios of repeated measurements.
 *
 * @module
 */

/** The values of one measurement in one turn, by the name of their column. */
export type Sample = Readonly<Record<string, number>>;

/** Median of values; `NaN` if there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return NaN;
  return Number.isInteger(middle)
    ? (sorted[middle - 1]! + sorted[middle]!) / 2
    : sorted[Math.floor(middle)]!;
}

/** Least and greatest of values. */
export function spread(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/**
 * Median of the ratios of two entries, each of two values of the same turn, so that
 * what slows down a whole turn does not count.
 *
 * @returns `NaN` if there is no turn with both.
 */
export function ratio(
  values: readonly (number | null)[],
  others: readonly (number | null)[],
): number {
  const pairs = values.map((value, turn) => [value, others[turn] ?? null] as const);
  return median(
    pairs.flatMap(([value, other]) => value === null || other === null ? [] : [value / other])
      .filter(Number.isFinite),
  );
}
