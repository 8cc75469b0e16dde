// @ts-check
/**
 * The verdict on a probe that failed, in words for people.
 *
 * @module
 */

/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */
/** @typedef {import("./verdict.js").Verdict} Verdict */

/**
 * Creates the verdict on a probe that failed.
 *
 * @param {ProbeResult} stream
 * @returns {Verdict}
 */
export function failureVerdict({ failure, status, detail, type, lines, endedMs }) {
  const bad = { tone: /** @type {const} */ ("bad"), advise: false };
  if (failure === "unreachable") {
    return {
      ...bad,
      title: "The service cannot be reached",
      text: [
        "There was no answer, or the browser could not use it. Is the service running, and does " +
        "the proxy pass /pipelines/ on to it?",
      ],
    };
  }
  if (failure === "refused") {
    const isTransient = status === 429 || status === 503;
    return {
      ...bad,
      title: `The stream was refused with status ${status}`,
      text: [
        detail ||
        "The refusal does not have the service's format, so it is likely a proxy's: check whether " +
          "the proxy passes /pipelines/ on.",
        isTransient
          ? "This is temporary: run the test again."
          : "An EventSource does not reconnect after this.",
      ],
    };
  }
  if (failure === "changed") {
    return {
      ...bad,
      title: "The answer is not an event stream",
      text: [
        `It arrived as ${type || "an unknown type"} instead of text/event-stream. Something on ` +
        "the way changes the answer or sends another one, such as a login page.",
      ],
    };
  }
  const last = lines.at(-1);
  const arrived = last ? `${lines.length} of ${last.of} lines arrived` : "No line arrived";
  if (failure === "silent") {
    return {
      ...bad,
      title: last ? "The stream went silent" : "Nothing arrived at all",
      text: [
        `${arrived}, and the stream had not ended long after it should have. Something on the ` +
        "way holds it back for longer than this test waits: likely response buffering.",
      ],
      advise: true,
      holdsBack: true,
    };
  }
  return {
    ...bad,
    title: last
      ? `The connection was cut after ${formatSeconds(endedMs)}`
      : "The connection was cut before the first line",
    text: [
      `${arrived}. A proxy that limits the duration of an answer does this, and so does a ` +
      "service that is being stopped: run the test again. An EventSource reconnects by itself " +
      "and misses nothing, but a stream that is cut often is often late.",
    ],
    advise: true,
  };
}

/**
 * Formats a duration in seconds: with one decimal below 10 seconds.
 *
 * @param {number} ms Duration in milliseconds.
 */
export function formatSeconds(ms) {
  const rounded = ms < 9950 ? (ms / 1000).toFixed(1).replace(/\.0$/, "") : Math.round(ms / 1000);
  return `${rounded} ${rounded === "1" ? "second" : "seconds"}`;
}
