/**
 * The page that tells whether something on the way holds events back.
 *
 * @module
 */

import { Chart } from "./chart.js";
import { measureRoundTrip, runProbe } from "./probe.js";
import { createVerdict, measureDelays } from "./verdict.js";

/** What a line of the third probe is filled up with: two of them fill most buffers. */
const LARGE_BYTES = 8192;

/** The HTTP versions, as ALPN names them. */
const PROTOCOLS = new Map([["http/1.0", "HTTP/1.0"], ["http/1.1", "HTTP/1.1"], ["h2", "HTTP/2"], [
  "h3",
  "HTTP/3",
]]);

/** The time between two lines, in milliseconds: `?every=100` is a quicker, less certain test. */
const everyMs = Math.min(
  Math.max(Number(new URL(location.href).searchParams.get("every")) || 500, 20),
  1000,
);

const verdict = byId("verdict");
const again = /** @type {HTMLButtonElement} */ (byId("again"));

again.addEventListener("click", run);
await run();

async function run() {
  again.disabled = true;
  verdict.dataset.tone = "busy";
  say("Listening …", [`This takes about ${Math.ceil(everyMs / 100)} seconds.`]);
  byId("charts").replaceChildren();
  byId("lines").replaceChildren();
  byId("facts").replaceChildren();
  const roundTripMs = await measureRoundTrip();
  const [stream, unasked] = await Promise.all([
    probe("A stream as all of ours are", {}),
    probe("The same, but not asking proxies to pass it on at once", { ask: false }),
  ]);
  let decided = createVerdict({ stream, unasked, roundTripMs });
  let large = null;
  if (decided.advise && !stream.failure) {
    say("Listening once more …", ["Events are held back. Large lines show how much of them."]);
    large = await probe("With large lines", { bytes: LARGE_BYTES });
    decided = createVerdict({ stream, unasked, large, roundTripMs });
  }
  verdict.dataset.tone = decided.tone;
  say(decided.title, decided.text);
  showLines(stream);
  showFacts(stream, roundTripMs);
  showAdvice(decided.advise, stream.by);
  again.disabled = false;
}

/**
 * @param {string} caption
 * @param {{ ask?: boolean, bytes?: number }} options
 */
async function probe(caption, options) {
  const chart = new Chart(caption, everyMs);
  byId("charts").append(chart.element);
  return await runProbe({ everyMs, ...options }, (line) => chart.add(line));
}

/**
 * @param {string} title
 * @param {string[]} text
 */
function say(title, text) {
  byId("title").textContent = title;
  byId("text").replaceChildren(...text.map((paragraph) => withText("p", paragraph)));
}

/** @param {import("./probe.js").ProbeResult} stream */
function showLines({ lines }) {
  const held = measureDelays(lines);
  byId("lines").replaceChildren(...lines.map(({ line, sent, at }, i) => {
    const row = document.createElement("tr");
    const times = [sent, at, held[i]].map((ms) => `${Math.round(ms)} ms`);
    row.append(...[String(line), ...times].map((text) => withText("td", text)));
    return row;
  }));
}

/**
 * @param {import("./probe.js").ProbeResult} stream
 * @param {number | null} roundTripMs
 */
function showFacts({ lines, protocol, encoding, by, status }, roundTripMs) {
  const version = PROTOCOLS.get(protocol) ?? protocol;
  const few = protocol.startsWith("http/1")
    ? ": a browser opens six connections to a host at most, so let one stream serve all channels " +
      "of a page, or let a proxy speak HTTP/2"
    : "";
  const facts = {
    "Passed on by": by || "nothing that gives its name",
    "HTTP version": version ? version + few : "the browser does not say",
    "Compressed": encoding || (status === 200 ? "no" : ""),
    "A small answer takes": roundTripMs === null ? "" : `${Math.round(roundTripMs)} ms`,
    "The first line took": lines[0] ? `${Math.round(lines[0].at)} ms` : "",
  };
  byId("facts").replaceChildren(
    ...Object.entries(facts).filter(([, text]) => text)
      .flatMap(([name, text]) => [withText("dt", name), withText("dd", text)]),
  );
}

/**
 * @param {boolean} advise
 * @param {string} by
 */
function showAdvice(advise, by) {
  for (const details of document.querySelectorAll("details[data-by]")) {
    const names = new RegExp(details.getAttribute("data-by") ?? "", "i");
    details.toggleAttribute("open", advise && names.test(by));
  }
  if (!advise) return;
  const see = withText("p", "See ");
  const link = withText("a", "what to set");
  link.setAttribute("href", "#advice");
  see.append(link, ".");
  byId("text").append(see);
}

/**
 * @param {string} name
 * @param {string} text
 */
function withText(name, text) {
  const created = document.createElement(name);
  created.textContent = text;
  return created;
}

/** @param {string} id */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}
