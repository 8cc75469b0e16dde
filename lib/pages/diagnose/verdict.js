// @ts-check
/**
 * The verdict on probes, in words for people.
 *
 * @module
 */

import { classifyArrivals, isBuffered } from "./arrivals.js";
import { failureVerdict, formatSeconds } from "./failure_verdict.js";

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
 * @property {string} [suspect] Name of the proxy that likely is the cause.
 * @property {boolean} [holdsBack] Whether events of a stream may never arrive, so that a long poll
 *   is worth a test.
 */

/**
 * Creates the verdict.
 *
 * @param {object} probes
 * @param {ProbeResult} probes.stream A probe with the headers of a real stream.
 * @param {ProbeResult | null} [probes.withoutHeader] One without `X-Accel-Buffering: no`.
 * @param {ProbeResult | null} [probes.large] One with large lines.
 * @param {import("./probe_result.js").RoundTrip | null} [probes.roundTrip] Times that small answers take.
 * @returns {Verdict}
 */
export function createVerdict({ stream, withoutHeader = null, large = null, roundTrip = null }) {
  if (stream.failure) return failureVerdict(stream);
  const jitterMs = roundTrip?.jitterMs ?? 0;
  const pattern = classifyArrivals(stream, jitterMs);
  if (isBuffered(pattern)) return heldBackVerdict(stream, pattern, large);
  const control = withoutHeader && !withoutHeader.failure
    ? classifyArrivals(withoutHeader, jitterMs)
    : null;
  // Both streams took the same way at the same time: chance delays one of them only.
  if (pattern.kind === "delayed" && control?.kind !== "steady") return delayedVerdict(pattern);
  const text = [];
  if (pattern.kind !== "unsteady") {
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
  if (control && isBuffered(control)) {
    text.push(
      "A proxy on the way buffers answers, but not Runnel's streams: it respects their header " +
        "X-Accel-Buffering: no. The same stream without that header was held back for " +
        `${formatSeconds(control.heldMs)}. You need not change anything, as long as the proxy ` +
        "neither ignores nor removes the header.",
    );
  }
  const startMs = stream.lines[0]?.at ?? 0;
  if (roundTrip && startMs - roundTrip.fastestMs > SLOW_START_MS) {
    text.push(
      `However, the stream started slowly: its first line took ${formatSeconds(startMs)}, while ` +
        `a small answer takes ${
          Math.round(roundTrip.fastestMs)
        } ms. If all events are late by the same ` +
        "time, only the start shows it.",
    );
  }
  if (stream.encoding) {
    text.push(
      `Something on the way compresses the stream (${stream.encoding}), although its header ` +
        "says no-transform. It passes each event on at once, so you need not change anything.",
    );
  }
  return {
    tone: pattern.kind === "unsteady" ? "unsure" : "good",
    title: pattern.kind === "unsteady"
      ? "Events arrive as sent, after a hiccup"
      : "Events arrive as sent",
    text,
    advise: false,
  };
}

/**
 * @param {ArrivalPattern} pattern
 * @returns {Verdict}
 */
function delayedVerdict({ usualMs }) {
  return {
    tone: "bad",
    title: `Something on the way delays events by about ${Math.round(usualMs)} ms`,
    text: [
      "Lines came one by one, but nearly each of them that much later than the last one, which " +
      "the end of the stream pushes through. Something on the way waits for a moment whether " +
      "more follows, before it passes an event on. HAProxy does so where it speaks plain HTTP.",
    ],
    advise: true,
    suspect: "haproxy",
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
    holdsBack: true,
  };
}

/** @param {ProbeResult} large */
function describeBuffer(large) {
  const { kind, bursts } = classifyArrivals(large);
  const { length } = large.lines;
  const kib = Math.ceil(large.bytes / 1024);
  if (kind !== "at-end" && kind !== "bursts") {
    return `Lines of ${kib} KiB arrived at once: a full buffer is passed on immediately.`;
  }
  if (kind === "at-end") return `Even ${kib * length} KiB were not passed on before the end.`;
  const about = Math.round(kib * length / bursts);
  return `Lines of ${kib} KiB arrived in ${bursts} bursts: the buffer holds about ${about} KiB.`;
}
