// @ts-check
/**
 * Requests a probe, and records when its lines arrive.
 *
 * @module
 */

import { StreamParser } from "../client/stream_parser.js";

/** Path in the place of a stream, so that a proxy treats the probe as one. */
const PATH = "/pipelines/diagnose/sse";

/** Time that a probe may take beyond its schedule, in milliseconds. */
const GRACE_MS = 15_000;

/** @typedef {import("./probe_result.js").ProbeLine} ProbeLine */
/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */
/** @typedef {import("./probe_result.js").SentLine} SentLine */

/**
 * Options for {@linkcode runProbe}.
 *
 * @typedef {object} ProbeOptions
 * @property {number} everyMs Time between two lines, in milliseconds.
 * @property {boolean} [isQuiet] Whether the probe has few lines, as far apart as the comments of a
 *   stream without events.
 * @property {number} [bytes] Size of the filler in each line, in bytes.
 * @property {number} [waitSeconds] Time after which the only line of a long poll is sent, in
 *   seconds. Without it, the probe is a stream.
 * @property {boolean} [asksNoBuffering] Whether the answer has `X-Accel-Buffering: no`, which asks
 *   proxies not to buffer it, as streams have.
 */

/**
 * Runs a probe to its end.
 *
 * @param {ProbeOptions} options
 * @param {(line: ProbeLine) => void} [onLine] Called with each line.
 * @returns {Promise<ProbeResult>}
 */
export async function runProbe(options, onLine = () => {}) {
  const { everyMs, isQuiet = false, waitSeconds, bytes = 0, asksNoBuffering = true } = options;
  const url = new URL(PATH, location.href);
  // The ID finds this request among the browser's timings.
  url.search = new URLSearchParams({
    [isQuiet ? "quiet" : "every"]: String(everyMs),
    bytes: String(bytes),
    ask: asksNoBuffering ? "1" : "0",
    id: crypto.getRandomValues(new Uint32Array(1)).join(),
    ...waitSeconds !== undefined && { wait: String(waitSeconds) },
  }).toString();
  /** @type {ProbeResult} */
  const result = {
    everyMs,
    bytes,
    lines: [],
    endedMs: 0,
    failure: null,
    status: 0,
    detail: "",
    type: "",
    encoding: "",
    proxies: "",
    protocol: "",
  };
  const requestedAt = performance.now();
  const controller = new AbortController();
  const scheduleMs = waitSeconds === undefined ? 10 * everyMs : waitSeconds * 1000;
  const timer = setTimeout(() => controller.abort(), scheduleMs + GRACE_MS);
  try {
    const response = await fetch(url, {
      // As an EventSource asks.
      headers: { Accept: "text/event-stream" },
      cache: "no-store",
      signal: controller.signal,
    });
    result.status = response.status;
    result.type = response.headers.get("Content-Type") ?? "";
    result.encoding = response.headers.get("Content-Encoding") ?? "";
    result.proxies = namesOfProxies(response.headers);
    if (!response.ok || !result.type.startsWith("text/event-stream")) {
      result.failure = response.ok ? "changed" : "refused";
      const text = await response.text();
      if (result.type.startsWith("application/problem+json")) {
        result.detail = JSON.parse(text).detail;
      }
      return result;
    }
    await readLines(response, requestedAt, (line) => {
      result.lines.push(line);
      onLine(line);
    });
    const [first] = result.lines;
    if (!first || result.lines.length < first.of) result.failure = "cut";
  } catch {
    if (controller.signal.aborted) result.failure = "silent";
    else result.failure = result.status === 0 ? "unreachable" : "cut";
  } finally {
    result.endedMs = performance.now() - requestedAt;
    clearTimeout(timer);
    controller.abort();
    result.protocol = await protocolOf(url.href);
  }
  return result;
}

/** @param {Headers} headers */
function namesOfProxies(headers) {
  const names = [headers.get("Server"), headers.get("Via"), headers.has("CF-Ray") && "Cloudflare"];
  return [...new Set(names.filter((name) => name))].join(", ");
}

/**
 * The HTTP version of a request, which browsers report a little after its end.
 *
 * @param {string} url
 */
async function protocolOf(url) {
  for (let i = 0; i < 10; i++) {
    const [timing] = performance.getEntriesByName(url, "resource");
    if (timing instanceof PerformanceResourceTiming) return timing.nextHopProtocol;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return "";
}

/** Number of small answers that are measured. */
const ROUND_TRIPS = 5;

/**
 * Measures the times that small answers take; `null` if one fails.
 *
 * @returns {Promise<import("./probe_result.js").RoundTrip | null>}
 */
export async function measureRoundTrip() {
  const times = [];
  for (let i = 0; i <= ROUND_TRIPS; i++) {
    const requestedAt = performance.now();
    try {
      await (await fetch("/healthz", { cache: "no-store" })).text();
    } catch {
      return null;
    }
    times.push(performance.now() - requestedAt);
  }
  // The first request may have opened the connection.
  times.shift();
  const fastestMs = Math.min(...times);
  return { fastestMs, jitterMs: Math.max(...times) - fastestMs };
}

/**
 * @param {Response} response
 * @param {number} requestedAt
 * @param {(line: ProbeLine) => void} onLine
 */
async function readLines(response, requestedAt, onLine) {
  const reader = response.body?.getReader();
  const parser = new StreamParser();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) return;
    const at = performance.now() - requestedAt;
    for (const { data } of parser.push(value)) {
      if (data === null) continue;
      /** @type {SentLine} */
      const { line, of, sent } = JSON.parse(data);
      onLine({ line, of, sent, at });
    }
  }
}
