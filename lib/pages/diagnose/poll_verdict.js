// @ts-check
/**
 * The verdict on a long poll, where streams are held back, in words for people.
 *
 * @module
 */

import { formatSeconds } from "./failure_verdict.js";

/** Time that an answer may take beyond that of a small one, in milliseconds. */
const LATE_MS = 1000;

/**
 * Creates the verdict on a long poll: a request that the service answers after some seconds.
 *
 * @param {import("./probe_result.js").ProbeResult} poll
 * @param {import("./probe_result.js").RoundTrip | null} [roundTrip] Times that small answers take.
 * @returns {{ works: boolean, text: string }} Whether clients can poll, and a paragraph about it.
 */
export function createPollVerdict({ failure, lines: [line], endedMs, status }, roundTrip = null) {
  if (failure || !line) {
    return {
      works: false,
      text: failure === "refused"
        ? `A long poll, which ends with each answer, was refused with status ${status}.`
        : "A long poll, which ends with each answer, does not pass either: it " +
          (failure === "cut"
            ? `was cut after ${formatSeconds(endedMs)}.`
            : "got no answer that the browser could use."),
    };
  }
  const lateMs = line.at - line.sent - (roundTrip?.fastestMs ?? 0);
  if (lateMs > LATE_MS) {
    return {
      works: false,
      text: "A long poll, which ends with each answer, does not help: the answer was late by " +
        `${formatSeconds(lateMs)} as well.`,
    };
  }
  return {
    works: true,
    text: "A long poll passes: the service answered a request after " +
      `${formatSeconds(line.sent)}, and the answer arrived at once, because it ends. So clients ` +
      "can receive events without a delay by polls, until the proxy is set.",
  };
}
