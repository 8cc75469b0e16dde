/**
 * Robust trends of measured series, by which a long run is judged.
 *
 * @module
 */

/** Growth that a series may have, the larger of the two. */
export interface Tolerance {
  /** Share of the median. */
  share: number;
  /** Amount, in the unit of the series. */
  amount: number;
}

/** Judgment of a series. */
export interface Trend {
  /** Median of the judged values. */
  median: number;
  /** Growth over the judged values by the robust slope, in the unit of the series. */
  growth: number;
  /** Largest growth that is tolerated. */
  limit: number;
  /** Whether it grew by more than is tolerated. */
  grows: boolean;
}

/** Returns the median; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/**
 * Returns the Theil–Sen slope for each step of a series of equidistant values: the
 * median of the slopes of all pairs, which outliers hardly move.
 *
 * @see {@link https://en.wikipedia.org/wiki/Theil%E2%80%93Sen_estimator}
 */
export function slope(values: readonly number[]): number {
  return median(
    values.flatMap((value, index) =>
      values.slice(index + 1).map((later, after) => (later - value) / (after + 1))
    ),
  );
}

/**
 * Judges the second half of a series: by then caches are full, and what still grows
 * does not end.
 *
 * @throws {RangeError} If the half has fewer than three values.
 */
export function judge(values: readonly number[], { share, amount }: Tolerance): Trend {
  const half = values.slice(Math.floor(values.length / 2));
  if (half.length < 3) throw new RangeError(`Cannot judge ${values.length} values: run longer`);
  const growth = slope(half) * (half.length - 1);
  const middle = median(half);
  const limit = Math.max(share * middle, amount);
  return { median: middle, growth, limit, grows: growth > limit };
}
