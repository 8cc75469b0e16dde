// @ts-check
/**
 * The entries of the chart's legend.
 *
 * @module
 */

/** Number of colors that the legend explains. */
const MAX_COLORS = 6;

/**
 * Creates the entries of a legend: the colors with the most events first.
 *
 * @param {ReadonlyMap<string, number>[]} intervals
 * @param {(color: number) => readonly string[]} namesOf
 * @returns {{ color: string | null, text: string }[]}
 */
export function legendEntries(intervals, namesOf) {
  /** @type {Map<string, number>} */
  const totals = new Map();
  for (const rates of intervals) {
    for (const [color, rate] of rates) totals.set(color, (totals.get(color) ?? 0) + rate);
  }
  const colors = [...totals].sort(([, a], [, b]) => b - a).map(([color]) => color);
  const entries = colors.slice(0, MAX_COLORS).map((color) => ({
    color: /** @type {string | null} */ (color),
    text: nameAll(namesOf(Number(color))),
  }));
  const more = colors.slice(MAX_COLORS).flatMap((color) => namesOf(Number(color))).length;
  if (more > 0) entries.push({ color: null, text: `and ${more.toLocaleString("en")} more` });
  return entries;
}

/** @param {readonly string[]} names */
function nameAll(names) {
  const [first = "", second] = names;
  if (second === undefined) return first;
  return names.length === 2
    ? `${first}, ${second}`
    : `${first} and ${(names.length - 1).toLocaleString("en")} more`;
}
