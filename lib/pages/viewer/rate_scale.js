// @ts-check
/**
 * The scale of the chart.
 *
 * @module
 */

/**
 * Returns the top of a scale: 1, 2 or 5 times a power of ten.
 *
 * @param {number} peak Highest value.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(findTop(0.2), 1);
 * equal(findTop(12), 20);
 * equal(findTop(5000), 5000);
 * ```
 */
export function findTop(peak) {
  if (peak <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(peak));
  return ([1, 2, 5].find((factor) => factor * power >= peak) ?? 10) * power;
}

/**
 * Formats a rate for people.
 *
 * @param {number} rate
 */
export function formatRate(rate) {
  return rate.toLocaleString("en", { maximumFractionDigits: rate < 10 ? 1 : 0 });
}
