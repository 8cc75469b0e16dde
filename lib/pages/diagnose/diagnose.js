// @ts-check
/**
 * The page that tests whether a proxy holds events back: `GET /diagnose`.
 *
 * @module
 */

import { byId, element, setText } from "../shared/elements.js";
import { measureDelays } from "./arrivals.js";
import { ArrivalChart } from "./chart.js";
import { formatSeconds } from "./failure_verdict.js";
import { createPollVerdict } from "./poll_verdict.js";
import { measureRoundTrip, runProbe } from "./probe.js";
import { createQuietVerdict } from "./quiet_verdict.js";
import { createVerdict } from "./verdict.js";

/** @typedef {import("./probe_result.js").ProbeResult} ProbeResult */

/** Size of the filler in each line of the third probe, in bytes: two lines fill most buffers. */
const LARGE_BYTES = 8192;

/** Time between two lines of a quiet stream, in times of that between two lines of a usual probe. */
const QUIET_FACTOR = 30;

/** HTTP versions by their ALPN names. */
const PROTOCOLS = new Map([
  ["http/1.0", "HTTP/1.0"],
  ["http/1.1", "HTTP/1.1"],
  ["h2", "HTTP/2"],
  ["h3", "HTTP/3"],
]);

/** Time between two lines, in milliseconds: `?every=100` is a quicker, less reliable test. */
const everyMs = Math.min(
  Math.max(Number(new URL(location.href).searchParams.get("every")) || 500, 20),
  1000,
);

const verdict = byId("verdict");
const again = byId("again", HTMLButtonElement);
const quiet = byId("quiet", HTMLButtonElement);

again.addEventListener("click", () => test(runProbes));
quiet.addEventListener("click", () => test(runQuietProbe));
await test(runProbes);

/** @param {() => Promise<void>} run */
async function test(run) {
  again.disabled = quiet.disabled = true;
  byId("charts").replaceChildren();
  byId("lines").replaceChildren();
  byId("facts").replaceChildren();
  byId("fallback").hidden = true;
  await run();
  again.disabled = quiet.disabled = false;
}

async function runProbes() {
  showVerdict("busy", "Listening …", [`This takes about ${Math.ceil(everyMs / 100)} seconds.`]);
  const roundTrip = await measureRoundTrip();
  const [stream, withoutHeader] = await Promise.all([
    probe("As Runnel sends its streams", { everyMs }),
    probe("For comparison: a stream that does not ask proxies to pass each event on", {
      everyMs,
      asksNoBuffering: false,
    }),
  ]);
  let decided = createVerdict({ stream, withoutHeader, roundTrip });
  if (decided.holdsBack && !stream.failure) {
    showVerdict("busy", "Listening once more …", [
      "Events are held back. Large lines show how much of them.",
    ]);
    const large = await probe("With large lines, which fill a buffer sooner", {
      everyMs,
      bytes: LARGE_BYTES,
    });
    decided = createVerdict({ stream, withoutHeader, large, roundTrip });
  }
  const poll = decided.holdsBack ? await testPoll(roundTrip) : null;
  if (poll) decided.text.push(poll.text);
  showResult(decided, stream, roundTrip);
  if (poll?.works) showFallback();
}

/** @param {import("./probe_result.js").RoundTrip | null} roundTrip */
async function testPoll(roundTrip) {
  const waitSeconds = Math.max(1, Math.round(everyMs / 100));
  showVerdict("busy", "Polling …", [
    "Events are held back. A request that the service answers after " +
    `${formatSeconds(waitSeconds * 1000)} shows whether clients can poll instead.`,
  ]);
  return createPollVerdict(await runProbe({ everyMs, waitSeconds }), roundTrip);
}

/** Shows how to receive events by long polls. */
function showFallback() {
  for (const code of document.querySelectorAll("#fallback code[data-template]")) {
    code.textContent = (code.textContent ?? "").replaceAll("ORIGIN", location.origin);
  }
  byId("fallback").hidden = false;
  const link = element("a", { href: "#fallback-title" }, "how to poll");
  byId("text").append(element("p", {}, "See ", link, "."));
}

async function runQuietProbe() {
  const quietMs = everyMs * QUIET_FACTOR;
  showVerdict("busy", "Listening to a quiet stream …", [
    `This takes ${formatSeconds(4 * quietMs)}. Leave this page open meanwhile.`,
  ]);
  const roundTrip = await measureRoundTrip();
  const stream = await probe("A stream that is quiet most of the time", {
    everyMs: quietMs,
    isQuiet: true,
  });
  showResult(createQuietVerdict(stream), stream, roundTrip);
}

/**
 * @param {import("./verdict.js").Verdict} verdict
 * @param {ProbeResult} stream
 * @param {import("./probe_result.js").RoundTrip | null} roundTrip
 */
function showResult({ tone, title, text, advise, suspect = "" }, stream, roundTrip) {
  showVerdict(tone, title, text);
  showLines(stream);
  showFacts(stream, roundTrip);
  showAdvice(advise, `${stream.proxies} ${suspect}`);
}

/**
 * @param {string} caption
 * @param {import("./probe.js").ProbeOptions} options
 */
async function probe(caption, options) {
  const chart = new ArrivalChart(byId("charts"), caption, options);
  return await runProbe(options, (line) => chart.add(line));
}

/**
 * @param {import("./verdict.js").Verdict["tone"] | "busy"} tone
 * @param {string} title
 * @param {string[]} text Paragraphs.
 */
function showVerdict(tone, title, text) {
  verdict.dataset["tone"] = tone;
  setText("title", title);
  byId("text").replaceChildren(...text.map((paragraph) => element("p", {}, paragraph)));
}

/** @param {ProbeResult} stream */
function showLines({ lines }) {
  const delays = measureDelays(lines);
  byId("lines").replaceChildren(...lines.map(({ line, sent, at }, i) => {
    const times = [sent, at, delays[i] ?? 0].map((ms) => `${Math.round(ms)} ms`);
    return element("tr", {}, ...[String(line), ...times].map((text) => element("td", {}, text)));
  }));
}

/**
 * @param {ProbeResult} stream
 * @param {import("./probe_result.js").RoundTrip | null} roundTrip
 */
function showFacts({ lines: [first], protocol, encoding, proxies, status }, roundTrip) {
  const version = PROTOCOLS.get(protocol) ?? protocol;
  const few = protocol.startsWith("http/1")
    ? ": a browser opens six connections to a host at most, so let one stream serve all " +
      "pipelines of a page, or let a proxy speak HTTP/2"
    : "";
  const facts = {
    "Passed on by": proxies || "no server that gives its name",
    "HTTP version": version ? version + few : "not reported by the browser",
    "Compressed": encoding || (status === 200 ? "no" : ""),
    "A small answer takes": roundTrip ? `${Math.round(roundTrip.fastestMs)} ms` : "",
    "The first line took": first ? `${Math.round(first.at)} ms` : "",
  };
  byId("facts").replaceChildren(
    ...Object.entries(facts).filter(([, text]) => text)
      .flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]),
  );
}

/**
 * @param {boolean} advise
 * @param {string} proxies
 */
function showAdvice(advise, proxies) {
  for (const details of document.querySelectorAll("details[data-by]")) {
    const names = new RegExp(details.getAttribute("data-by") ?? "", "i");
    details.toggleAttribute("open", advise && names.test(proxies));
  }
  if (!advise) return;
  const link = element("a", { href: "#advice" }, "what to set");
  byId("text").append(element("p", {}, "See ", link, "."));
}
