// @ts-check
/**
 * Judges what was seen of probes, and puts it in words. The clocks of service
 * and browser differ, so only the spacing of what was sent and what arrived
 * counts.
 *
 * @module
 */

/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */
/** @typedef {import("./probe_result.js").ProbeLine} ProbeLine */

/** The share of lines that have to be late, so that it is not one hiccup of a network. */
const MOST = 0.4;

/** What a network may be late by without being worth a word, in milliseconds. */
const JITTER_MS = 250;

/** How much longer than a small answer the first line may take, in milliseconds. */
const SLOW_START_MS = 1000;

/**
 * How lines arrived.
 *
 * @typedef {object} ArrivalPattern
 * @property {"live" | "unsteady" | "held" | "end"} kind As sent, with a hiccup, in bursts, or all
 *   of them at the end.
 * @property {number} heldMs For how long a line was held back at most, in milliseconds.
 * @property {number} bursts In how many bursts they arrived.
 */

/**
 * For how long each line was held back, against the one that was the fastest.
 *
 * @param {ProbeLine[]} lines
 * @returns {number[]} In milliseconds.
 */
export function measureDelays(lines) {
  const late = lines.map(({ at, sent }) => at - sent);
  const least = Math.min(...late);
  return late.map((ms) => ms - least);
}

/**
 * Judges lines that all arrived.
 *
 * @param {Pick<ProbeResult, "everyMs" | "lines">} sighting
 * @returns {ArrivalPattern}
 */
export function classifyArrivals({ everyMs, lines }) {
  const held = measureDelays(lines);
  const heldMs = Math.max(...held);
  const gaps = lines.slice(1).map(({ at }, i) => at - (lines[i]?.at ?? at));
  const bursts = 1 + gaps.filter((ms) => ms > everyMs / 4).length;
  const late = held.filter((ms) => ms > Math.max(JITTER_MS, everyMs / 2)).length;
  if (late >= lines.length * MOST) return { kind: bursts === 1 ? "end" : "held", heldMs, bursts };
  return { kind: heldMs > Math.max(JITTER_MS, everyMs) ? "unsteady" : "live", heldMs, bursts };
}

/**
 * A verdict.
 *
 * @typedef {object} Verdict
 * @property {"good" | "bad" | "unsure"} tone
 * @property {string} title The verdict in one sentence.
 * @property {string[]} text What it rests on and what it means, as paragraphs.
 * @property {boolean} advise Whether settings of a proxy would help.
 */

/**
 * Puts the verdict in words.
 *
 * @param {object} seen
 * @param {ProbeResult} seen.stream A probe with the headers of a real stream.
 * @param {ProbeResult | null} [seen.unasked] One that does not ask proxies not to buffer.
 * @param {ProbeResult | null} [seen.large] One with large lines.
 * @param {number | null} [seen.roundTripMs] How long a small answer takes.
 * @returns {Verdict}
 */
export function createVerdict({ stream, unasked = null, large = null, roundTripMs = null }) {
  if (stream.failure) return failureVerdict(stream);
  const pattern = classifyArrivals(stream);
  if (pattern.kind === "held" || pattern.kind === "end") {
    return heldBackVerdict(stream, pattern, large);
  }
  const text = [];
  if (pattern.kind === "live") {
    text.push(
      "Lines came one by one, at the pace at which the service sent them, give or take " +
        `${Math.round(pattern.heldMs)} ms. Nothing between the service and this browser ` +
        "holds events back.",
    );
  } else {
    text.push(
      `Once, nothing came for a while: a line was late by ${formatSeconds(pattern.heldMs)}. The ` +
        "others came as they were sent, so this is the network or a busy machine rather than " +
        "a buffer. Run the test again to be sure.",
    );
  }
  if (unasked && !unasked.failure && ["held", "end"].includes(classifyArrivals(unasked).kind)) {
    text.push(
      "A proxy on the way does buffer answers, but not our streams: it heeds their header " +
        "X-Accel-Buffering: no. The same stream without that header was held back for " +
        `${
          formatSeconds(classifyArrivals(unasked).heldMs)
        }. Nothing has to be done; just do not have the ` +
        "proxy ignore or remove the header.",
    );
  }
  const startMs = stream.lines[0]?.at ?? 0;
  if (roundTripMs !== null && startMs - roundTripMs > SLOW_START_MS) {
    text.push(
      `The stream was slow to begin, though: its first line took ${
        formatSeconds(startMs)
      }, where a ` +
        `small answer takes ${Math.round(roundTripMs)} ms. If everything is late by the same ` +
        "time, only the beginning shows it.",
    );
  }
  if (stream.encoding) {
    text.push(
      `Something on the way compresses the stream (${stream.encoding}), although its header ` +
        "says no-transform. It passes each event on at once, but compression is a common cause " +
        "of streams that stall: better leave text/event-stream out of it.",
    );
  }
  return {
    tone: pattern.kind === "live" ? "good" : "unsure",
    title: pattern.kind === "live"
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
  if (kind === "end") {
    text.push(
      `All ${length} lines arrived together, when the service had ended the stream. This is ` +
        "likely response buffering: a proxy collects the answer before it passes it on. A real " +
        "stream does not end, so there events wait until enough of them have come, which may be " +
        "never.",
    );
  } else {
    text.push(
      `${length} lines arrived in ${bursts} bursts. This is likely response buffering: a proxy ` +
        "collects what comes and passes it on from time to time.",
    );
  }
  text.push(
    "Our streams ask not to be buffered (X-Accel-Buffering: no), so what holds them back does " +
      "not heed that header or was told to ignore it.",
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
    title: `Something on the way holds events back for ${kind === "end" ? "at least" : "about"} ${
      formatSeconds(heldMs)
    }`,
    text,
    advise: true,
  };
}

/** @param {ProbeResult} large */
function describeBuffer(large) {
  const { kind, bursts } = classifyArrivals(large);
  const { length } = large.lines;
  const kib = Math.ceil(large.bytes / 1024);
  if (kind === "live" || kind === "unsteady") {
    return `Lines of ${kib} KiB came through at once: the buffer lets go as soon as it is full.`;
  }
  if (kind === "end") return `Even ${kib * length} KiB did not make it let go before the end.`;
  const about = Math.round(kib * length / bursts);
  return `With lines of ${kib} KiB it let go ${bursts} times: the buffer takes about ${about} KiB.`;
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
    const busy = status === 429 || status === 503;
    return {
      ...bad,
      title: `The stream was refused with status ${status}`,
      text: [
        detail ||
        "The service did not say this in its own words, so it was likely a proxy: see whether " +
          "it passes /pipelines/ on.",
        busy ? "This passes: run the test again." : "An EventSource does not come back from this.",
      ],
    };
  }
  if (failure === "changed") {
    return {
      ...bad,
      title: "The answer is not an event stream",
      text: [
        `It came as ${type || "an unknown type"} instead of text/event-stream. Something on the ` +
        "way changes the answer or gives one of its own, such as a page to log in.",
      ],
    };
  }
  const last = lines.at(-1);
  const came = last ? `${lines.length} of ${last.of} lines came` : "No line came";
  if (failure === "silent") {
    return {
      ...bad,
      title: last ? "The stream went silent" : "Nothing arrived at all",
      text: [
        `${came}, and the stream had not ended long after it should have. Something on the way ` +
        "holds it back for longer than this test waits: likely response buffering.",
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
      `${came}. A proxy that limits how long an answer may take does that, and so does a service ` +
      "that is just being stopped: run the test again. An EventSource comes back by itself and " +
      "misses nothing, but a stream that is cut often is late often.",
    ],
    advise: true,
  };
}

/** @param {number} ms */
export function formatSeconds(ms) {
  const rounded = ms < 9950 ? (ms / 1000).toFixed(1).replace(/\.0$/, "") : Math.round(ms / 1000);
  return `${rounded} ${rounded === "1" ? "second" : "seconds"}`;
}
