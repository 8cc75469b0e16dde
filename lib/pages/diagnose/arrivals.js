// @ts-check
/**
 * The pattern in which the lines of a probe arrived. The clocks of service and browser differ, so
 * delays are compared with that of the fastest line. The last line is fast whatever delays the
 * others, because nothing waits for more at the end of an answer.
 *
 * @module
 */

/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */
/** @typedef {import("./probe_result.js").ProbeLine} ProbeLine */

/** Share of late lines from which on the cause is a buffer rather than a hiccup of the network. */
const BUFFERED_SHARE = 0.4;

/** Delay that a hiccup of the network exceeds, in milliseconds. */
const HICCUP_MS = 250;

/** Delay of most lines that a proxy causes rather than a network, in milliseconds. */
const DELAY_MS = 20;

/**
 * The pattern in which lines arrived.
 *
 * @typedef {object} ArrivalPattern
 * @property {"steady" | "delayed" | "unsteady" | "bursts" | "at-end"} kind As sent, most lines late
 *   by a little, with a hiccup, in bursts, or all of them at the end.
 * @property {number} heldMs Longest time that a line was held back, in milliseconds.
 * @property {number} usualMs Median of the times that the lines but the last were held back, in
 *   milliseconds.
 * @property {number} bursts Number of bursts.
 */

/**
 * Measures how long each line was held back, relative to the fastest one.
 *
 * @param {ProbeLine[]} lines
 * @returns {number[]} Delays in milliseconds.
 */
export function measureDelays(lines) {
  const late = lines.map(({ at, sent }) => at - sent);
  const least = Math.min(...late);
  return late.map((ms) => ms - least);
}

/**
 * Classifies the arrival of lines, none of which is missing.
 *
 * @param {Pick<ProbeResult, "everyMs" | "lines">} result
 * @param {number} [jitterMs] Differences of delay that the network causes by itself, in
 *   milliseconds.
 * @returns {ArrivalPattern}
 */
export function classifyArrivals({ everyMs, lines }, jitterMs = 0) {
  const held = measureDelays(lines);
  const heldMs = Math.max(...held);
  const usualMs = held.slice(0, -1).sort((a, b) => a - b)[(held.length - 1) >> 1] ?? 0;
  const gaps = lines.slice(1).map(({ at }, i) => at - (lines[i]?.at ?? at));
  const bursts = 1 + gaps.filter((ms) => ms > everyMs / 4).length;
  const late = held.filter((ms) => ms > Math.max(HICCUP_MS, everyMs / 2)).length;
  /** @param {ArrivalPattern["kind"]} kind */
  const pattern = (kind) => ({ kind, heldMs, usualMs, bursts });
  if (late >= lines.length * BUFFERED_SHARE) return pattern(bursts === 1 ? "at-end" : "bursts");
  if (usualMs > Math.max(DELAY_MS, 2 * jitterMs)) return pattern("delayed");
  return pattern(heldMs > Math.max(HICCUP_MS, everyMs) ? "unsteady" : "steady");
}

/**
 * Whether lines arrived as they do from a buffer.
 *
 * @param {ArrivalPattern} pattern
 */
export function isBuffered({ kind }) {
  return kind === "bursts" || kind === "at-end";
}
