// @ts-check
/**
 * Sentences about a stream's state and notices.
 *
 * @module
 */

/** Labels of a stream's states, and of pages that wait for a token or for another tab. */
export const STATE_LABELS = {
  "connecting": "Connecting",
  "catching-up": "Catching up",
  "live": "Live",
  "needs-token": "Waiting for a token",
  "needs-slot": "Waiting for another tab",
  "waiting": "Disconnected",
  "refused": "Stopped",
  "ended": "Ended",
  "closed": "Closed",
};

/**
 * Formats a count with its noun.
 *
 * @param {number} count
 * @param {string} one The noun in the singular.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(plural(1, "event"), "1 event");
 * equal(plural(2000, "event"), "2,000 events");
 * ```
 */
export function plural(count, one) {
  return `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
}

/**
 * Describes a gap.
 *
 * @param {{ missed: number | null, reason: string }} gap
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(
 *   describeGap({ missed: 7, reason: "cleared" }),
 *   "7 events are missing here: the history was cleared.",
 * );
 * ```
 */
export function describeGap({ missed, reason }) {
  if (missed === null) {
    return "Events may be missing here: the log does not know the last event ID. " +
      "Its history follows.";
  }
  const what = `${plural(missed, "event")} ${missed === 1 ? "is" : "are"} missing here`;
  const why = reason === "cleared"
    ? "the history was cleared"
    : reason === "evicted"
    ? "the log keeps only the newest"
    : reason === "damaged"
    ? "the file of the log is damaged"
    : "the reason is unknown";
  return `${what}: ${why}.`;
}

/**
 * Describes the line between replayed and live events.
 *
 * @param {number} replayed Number of events that the stream sent before it.
 * @param {number} reconnects Number of times that the stream was opened again.
 * @param {boolean} hasHistory Whether there are events below the line.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(describeLive(0, 0, true), "Live from here. What is below is history.");
 * equal(describeLive(3, 1, true), "Reconnected. 3 events were caught up.");
 * ```
 */
export function describeLive(replayed, reconnects, hasHistory) {
  if (reconnects === 0) {
    return hasHistory ? "Live from here. What is below is history." : "Live from here.";
  }
  if (replayed === 0) return "Reconnected. Nothing was missed.";
  return `Reconnected. ${plural(replayed, "event")} ${replayed === 1 ? "was" : "were"} caught up.`;
}

/**
 * Describes the end of a run.
 *
 * @param {{ events: number }} end Number of all events of the run.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(describeEnd({ events: 1 }), "The run has ended after 1 event.");
 * ```
 */
export function describeEnd({ events }) {
  return `The run has ended after ${plural(events, "event")}.`;
}

/**
 * Describes an error of a request.
 *
 * @param {unknown} error
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(describeError(new TypeError("Failed to fetch")), "the service does not answer.");
 * equal(describeError(new Error("Expected JSON")), "Expected JSON");
 * ```
 */
export function describeError(error) {
  // So fetch() rejects, in other words in each browser.
  if (error instanceof TypeError) return "the service does not answer.";
  return error instanceof Error ? error.message : String(error);
}
