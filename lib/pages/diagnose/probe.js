/**
 * Sends a probe on its way and notes when what arrived.
 *
 * @module
 */

/** In the place of a stream, so that a proxy treats it as one. */
const PATH = "/pipelines/diagnose/sse";

/** How much longer than its schedule a probe may take, in milliseconds. */
const PATIENCE_MS = 15_000;

/**
 * A line of a probe.
 *
 * @typedef {object} Line
 * @property {number} line Which it is, from 1.
 * @property {number} of How many there are.
 * @property {number} sent When it was sent, in milliseconds after the first, by the service's clock.
 * @property {number} at When it arrived, in milliseconds after the request, by this browser's clock.
 */

/**
 * What was seen of a probe.
 *
 * @typedef {object} ProbeResult
 * @property {number} everyMs The time between two lines, in milliseconds.
 * @property {number} bytes How many bytes each line was filled up with.
 * @property {Line[]} lines What arrived.
 * @property {"unreachable" | "refused" | "changed" | "cut" | "silent" | null} failure
 *   What was wrong with the answer.
 * @property {number} status
 * @property {string} detail What the service said of a refusal.
 * @property {string} type The content type.
 * @property {string} encoding The content encoding.
 * @property {string} by Who says that it passed the answer on.
 * @property {string} protocol The HTTP version, as ALPN names it.
 */

/**
 * Runs a probe to its end.
 *
 * @param {{ everyMs: number, bytes?: number, ask?: boolean }} options
 * @param {(line: Line) => void} [onLine] Hears of each line.
 * @returns {Promise<ProbeResult>}
 */
export async function runProbe({ everyMs, bytes = 0, ask = true }, onLine = () => {}) {
  const url = new URL(PATH, location.href);
  // The ID finds this request among those of the browser's timings.
  url.search = new URLSearchParams({
    every: String(everyMs),
    bytes: String(bytes),
    ask: ask ? "1" : "0",
    id: crypto.getRandomValues(new Uint32Array(1)).join(),
  }).toString();
  /** @type {ProbeResult} */
  const result = {
    everyMs,
    bytes,
    lines: [],
    failure: null,
    status: 0,
    detail: "",
    type: "",
    encoding: "",
    by: "",
    protocol: "",
  };
  const began = performance.now();
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), 10 * everyMs + PATIENCE_MS);
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
    result.by = ["Server", "Via", "CF-Ray"].map((name) => response.headers.get(name) ?? "")
      .map((value, index) => index === 2 && value ? "Cloudflare" : value)
      .filter((value, index, all) => value && all.indexOf(value) === index).join(", ");
    if (!response.ok || !result.type.startsWith("text/event-stream")) {
      result.failure = response.ok ? "changed" : "refused";
      const text = await response.text();
      if (result.type.startsWith("application/problem+json")) {
        result.detail = JSON.parse(text).detail;
      }
      return result;
    }
    await readLines(response, began, (line) => {
      result.lines.push(line);
      onLine(line);
    });
    const { length } = result.lines;
    if (length === 0 || length < result.lines[0].of) result.failure = "cut";
  } catch {
    if (controller.signal.aborted) result.failure = "silent";
    else result.failure = result.status === 0 ? "unreachable" : "cut";
  } finally {
    clearTimeout(timer);
    controller.abort();
    result.protocol = await protocolOf(url.href);
  }
  return result;
}

/**
 * The HTTP version of a request, which browsers tell a little after its end.
 *
 * @param {string} url
 */
async function protocolOf(url) {
  for (let i = 0; i < 10; i++) {
    const [timing] = performance.getEntriesByName(url, "resource");
    if (timing) return /** @type {PerformanceResourceTiming} */ (timing).nextHopProtocol;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return "";
}

/**
 * How long a small answer takes, in milliseconds.
 *
 * @returns {Promise<number | null>}
 */
export async function measureRoundTrip() {
  let least = null;
  for (let i = 0; i < 3; i++) {
    const began = performance.now();
    try {
      await (await fetch("/healthz", { cache: "no-store" })).text();
    } catch {
      return null;
    }
    const took = performance.now() - began;
    least = Math.min(least ?? took, took);
  }
  return least;
}

/**
 * @param {Response} response
 * @param {number} began
 * @param {(line: Line) => void} onLine
 */
async function readLines(response, began, onLine) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) return;
    const at = performance.now() - began;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (!data) continue;
      const { line, of, sent } = JSON.parse(data);
      onLine({ line, of, sent, at });
    }
  }
}
