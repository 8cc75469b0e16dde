// @ts-check
/**
 * The pattern in which the lines of a probe arrived. The clocks of service and browser differ, so
 * only the intervals count, between lines that were sent and between lines that arrived.
 *
 * @module
 */

/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */
/** @typedef {import("./probe_result.js").ProbeLine} ProbeLine */

/** Share of late lines from which on the cause is a buffer rather than a hiccup of the network. */
const BUFFERED_SHARE = 0.4;

/** Delay that is normal for a network, in milliseconds. */
const JITTER_MS = 250;

/**
 * The pattern in which lines arrived.
 *
 * @typedef {object} ArrivalPattern
 * @property {"steady" | "unsteady" | "bursts" | "at-end"} kind As sent, with a hiccup, in bursts,
 *   or all of them at the end.
 * @property {number} heldMs Longest time that a line was held back, in milliseconds.
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
 * @returns {ArrivalPattern}
 */
export function classifyArrivals({ everyMs, lines }) {
  const held = measureDelays(lines);
  const heldMs = Math.max(...held);
  const gaps = lines.slice(1).map(({ at }, i) => at - (lines[i]?.at ?? at));
  const bursts = 1 + gaps.filter((ms) => ms > everyMs / 4).length;
  const late = held.filter((ms) => ms > Math.max(JITTER_MS, everyMs / 2)).length;
  if (late >= lines.length * BUFFERED_SHARE) {
    return { kind: bursts === 1 ? "at-end" : "bursts", heldMs, bursts };
  }
  return { kind: heldMs > Math.max(JITTER_MS, everyMs) ? "unsteady" : "steady", heldMs, bursts };
}

/**
 * Whether lines arrived as they do from a buffer.
 *
 * @param {ArrivalPattern} pattern
 */
export function isBuffered({ kind }) {
  return kind === "bursts" || kind === "at-end";
}
