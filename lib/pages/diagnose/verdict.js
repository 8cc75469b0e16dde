// @ts-check
/**
 * The verdict on probes, in words for people.
 *
 * @module
 */

import { classifyArrivals, isBuffered } from "./arrivals.js";

/** @typedef {import("./arrivals.js").ArrivalPattern} ArrivalPattern */
/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */

/** Time that the first line may take beyond that of a small answer, in milliseconds. */
const SLOW_START_MS = 1000;

/**
 * A verdict.
 *
 * @typedef {object} Verdict
 * @property {"good" | "bad" | "unsure"} tone
 * @property {string} title The verdict in one sentence.
 * @property {string[]} text Reasons and meaning, as paragraphs.
 * @property {boolean} advise Whether settings of a proxy would help.
 */

/**
 * Creates the verdict.
 *
 * @param {object} probes
 * @param {ProbeResult} probes.stream A probe with the headers of a real stream.
 * @param {ProbeResult | null} [probes.withoutHeader] One without `X-Accel-Buffering: no`.
 * @param {ProbeResult | null} [probes.large] One with large lines.
 * @param {number | null} [probes.roundTripMs] Time that a small answer takes, in milliseconds.
 * @returns {Verdict}
 */
export function createVerdict({ stream, withoutHeader = null, large = null, roundTripMs = null }) {
  if (stream.failure) return failureVerdict(stream);
  const pattern = classifyArrivals(stream);
  if (isBuffered(pattern)) return heldBackVerdict(stream, pattern, large);
  const text = [];
  if (pattern.kind === "steady") {
    text.push(
      "Lines came one by one, at the pace at which the service sent them, give or take " +
        `${Math.round(pattern.heldMs)} ms. Nothing between the service and this browser ` +
        "holds events back.",
    );
  } else {
    text.push(
      `Nothing arrived for a while: one line was late by ${formatSeconds(pattern.heldMs)}. The ` +
        "others arrived as they were sent, so the cause is the network or a busy machine rather " +
        "than a buffer. Run the test again to be sure.",
    );
  }
  const control = withoutHeader && !withoutHeader.failure ? classifyArrivals(withoutHeader) : null;
  if (control && isBuffered(control)) {
    text.push(
      "A proxy on the way buffers answers, but not Runnel's streams: it respects their header " +
        "X-Accel-Buffering: no. The same stream without that header was held back for " +
        `${formatSeconds(control.heldMs)}. You need not change anything, as long as the proxy ` +
        "neither ignores nor removes the header.",
    );
  }
  const startMs = stream.lines[0]?.at ?? 0;
  if (roundTripMs !== null && startMs - roundTripMs > SLOW_START_MS) {
    text.push(
      `However, the stream started slowly: its first line took ${formatSeconds(startMs)}, while ` +
        `a small answer takes ${Math.round(roundTripMs)} ms. If all events are late by the same ` +
        "time, only the start shows it.",
    );
  }
  if (stream.encoding) {
    text.push(
      `Something on the way compresses the stream (${stream.encoding}), although its header ` +
        "says no-transform. It passes each event on at once, but compression is a common cause " +
        "of streams that stall: exclude text/event-stream from it.",
    );
  }
  return {
    tone: pattern.kind === "steady" ? "good" : "unsure",
    title: pattern.kind === "steady"
      ? "Events arrive as sent"
      : "Events arrive as sent, after a hiccup",
    text,
    advise: false,
  };
}

/**
 * @param {ProbeResult} stream
 * @param {ArrivalPattern} pattern
 * @param {ProbeResult | null} large
 * @returns {Verdict}
 */
function heldBackVerdict(stream, { kind, heldMs, bursts }, large) {
  const { length } = stream.lines;
  const text = [];
  if (kind === "at-end") {
    text.push(
      `All ${length} lines arrived together, after the service had ended the stream. This is ` +
        "likely response buffering: a proxy collects the answer before it passes it on. A real " +
        "stream does not end, so its events wait until enough of them are collected, which may " +
        "never happen.",
    );
  } else {
    text.push(
      `${length} lines arrived in ${bursts} bursts. This is likely response buffering: a proxy ` +
        "collects events and passes them on from time to time.",
    );
  }
  text.push(
    "Runnel's streams ask not to be buffered (X-Accel-Buffering: no), so the proxy that holds " +
      "them back does not know that header or was told to ignore it.",
  );
  if (stream.encoding) {
    text.push(
      `The stream was compressed on the way (${stream.encoding}), although its header says ` +
        "no-transform. A compressor that waits for more to compress may be the cause.",
    );
  }
  if (large && !large.failure) text.push(describeBuffer(large));
  return {
    tone: "bad",
    title: `Something on the way holds events back for ${
      kind === "at-end" ? "at least" : "about"
    } ${formatSeconds(heldMs)}`,
    text,
    advise: true,
  };
}

/** @param {ProbeResult} large */
function describeBuffer(large) {
  const { kind, bursts } = classifyArrivals(large);
  const { length } = large.lines;
  const kib = Math.ceil(large.bytes / 1024);
  if (kind === "steady" || kind === "unsteady") {
    return `Lines of ${kib} KiB arrived at once: a full buffer is passed on immediately.`;
  }
  if (kind === "at-end") return `Even ${kib * length} KiB were not passed on before the end.`;
  const about = Math.round(kib * length / bursts);
  return `Lines of ${kib} KiB arrived in ${bursts} bursts: the buffer holds about ${about} KiB.`;
}

/**
 * @param {ProbeResult} stream
 * @returns {Verdict}
 */
function failureVerdict({ failure, status, detail, type, lines }) {
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
    };
  }
  return {
    ...bad,
    title: last
      ? `The connection was cut after ${formatSeconds(last.at)}`
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
