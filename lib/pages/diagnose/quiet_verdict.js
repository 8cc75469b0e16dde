// @ts-check
/**
 * The verdict on a stream that is quiet for long, in words for people.
 *
 * @module
 */

import { failureVerdict, formatSeconds } from "./failure_verdict.js";

/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */
/** @typedef {import("./verdict.js").Verdict} Verdict */

/**
 * Creates the verdict on a probe with much time between its lines.
 *
 * @param {ProbeResult} stream
 * @returns {Verdict}
 */
export function createQuietVerdict(stream) {
  const { failure, lines, endedMs } = stream;
  if (failure === null) {
    return {
      tone: "good",
      title: `A quiet stream stays open for ${formatSeconds(endedMs)}`,
      text: [
        `Only ${lines.length} lines were sent in this time, as far apart as the comments that keep ` +
        "a stream without events open. Nothing on the way cut the connection.",
      ],
      advise: false,
    };
  }
  const last = lines.at(-1);
  if (failure !== "cut" || !last) return failureVerdict(stream);
  return {
    tone: "bad",
    title: `Something on the way cuts streams after ${formatSeconds(endedMs)}`,
    text: [
      lines.length > 1
        ? "It cut the connection although lines arrived, so it limits the duration of an answer " +
          "as a whole, as Envoy does after 15 seconds."
        : "Either it limits the duration of an answer as a whole, as Envoy does after 15 seconds, " +
          `or it waits for a byte for ${formatSeconds(endedMs - last.at)} only. Let it wait for ` +
          "75 seconds: a stream without events has a comment about every 15.",
      "An EventSource reconnects by itself and misses nothing, but each time its events are late, " +
      "and a service that is being stopped cuts its streams as well: run the test again to be sure.",
    ],
    advise: true,
    suspect: "envoy",
  };
}
