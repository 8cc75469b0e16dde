/**
 * The live viewer: `GET /pipelines/:pipeline`.
 *
 * @module
 */

import { ChannelChips } from "./channel_chips.js";
import { copy } from "../shared/clipboard.js";
import { byId, element, setText } from "../shared/elements.js";
import { createEventFilter } from "./event_filter.js";
import { createRow, describeEvent, entryOf, refreshTime, showAll } from "../shared/event_rows.js";
import { EventList } from "./event_list.js";
import { LiveStream } from "../client/live_stream.js";
import { PipelineClient } from "../client/pipeline_client.js";
import { formatRate, RateChart } from "./rate_chart.js";
import { Rates } from "./rates.js";
import { describeGap, describeLive, plural, STATE_LABELS } from "../shared/messages.js";
import { createTokenForm } from "../shared/token_form.js";

/** What the page keeps, and what of it is in the document. */
const LIMITS = { maxEntries: 10_000, maxChars: 32 * 1024 * 1024, maxRows: 200 };

/** The chart's stretches, of five minutes together. */
const INTERVAL_MS = 5000;
const INTERVALS = 60;

/** The least time between two redrawings of the rows, in milliseconds. */
const REDRAW_MS = 100;

/** The least time between two things that are read out, in milliseconds. */
const ANNOUNCE_MS = 5000;

const pipeline = location.pathname.split("/")[2];
const askToken = createTokenForm("token");
const client = new PipelineClient(pipeline, async (why) => {
  if (state.name === "live") return await askToken(why);
  showState({ name: "needs-token" });
  const token = await askToken(why);
  showState({ name: "connecting" });
  return token;
});
const list = new EventList(LIMITS);
const rates = new Rates(INTERVAL_MS, INTERVALS);
const chips = new ChannelChips(byId("chips"), filter);
const chart = new RateChart(byId("chart"), chips.seriesOf);
const rows = byId("rows");
let stream = null;
let state = { name: "connecting" };
let retryAt = 0;
let isLive = false;
/** Events of before the stream is live, whose times the stream does not tell. */
const caughtUp = [];
let unread = 0;
let drawnAt = 0;
let isDrawPending = false;

setText("pipeline", pipeline);
document.title = `${pipeline} · Runnel`;
byId("raw").href = `${client.path}/sse`;
byId("json").href = `${client.path}/events`;
byId("send-details").open = matchMedia("(min-width: 60rem)").matches;

listen();
setInterval(tick, 1000);
setInterval(announce, ANNOUNCE_MS);
await start();

async function start() {
  let past = null;
  while (past === null) {
    past = await client.history().catch(async ({ message: reason }) => {
      const { promise, resolve } = Promise.withResolvers();
      byId("retry").addEventListener("click", resolve, { once: true });
      showState({ name: "refused", reason });
      await promise;
      showState({ name: "connecting" });
      return null;
    });
  }
  for (const event of past) {
    const time = Date.parse(event.time);
    addEvent({ ...event, time, isPublishTime: true, origin: "history" });
  }
  stream = new LiveStream({
    open: (lastEventId) => client.openStream(lastEventId),
    lastEventId: past.at(-1)?.id ?? "",
    onEvents: (events) => events.forEach(receive),
    onState: showState,
  });
  await stream.run();
}

/** Takes what came through the stream. */
function receive({ id, type, data }) {
  const time = Date.now();
  if (type === "runnel.live") {
    const { replayed } = JSON.parse(data);
    const text = describeLive(replayed, stream.reconnects, list.events > 0);
    // A network that comes and goes would fill the page with it.
    if (list.newest?.kind !== "live") list.add({ kind: "live", time, text });
    isLive = true;
    updateTimes(caughtUp.splice(0));
  } else if (type === "runnel.gap") {
    list.add({ kind: "gap", time, text: describeGap(data) });
  } else {
    const origin = isLive ? "news" : stream.reconnects > 0 ? "caught up" : "history";
    const event = { id, channel: type, payload: data, time, isPublishTime: false, origin };
    addEvent(event);
    if (!isLive) caughtUp.push(list.newest);
    unread++;
  }
  drawSoon();
}

function addEvent(event) {
  chips.add(event.channel);
  rates.add(event.channel, event.time);
  list.add({ kind: "event", ...event });
  drawSoon();
}

/** Events that were published while the page was away get the times that the history has. */
async function updateTimes(events) {
  if (events.length === 0) return;
  const past = await client.history().catch(() => []);
  const times = new Map(past.map(({ id, time }) => [id, Date.parse(time)]));
  for (const event of events) {
    if (!times.has(event.id)) continue;
    event.time = times.get(event.id);
    event.isPublishTime = true;
  }
  for (const row of rows.querySelectorAll("li[data-id]")) {
    if (times.has(row.dataset.id)) refreshTime(row);
  }
}

function showState(next) {
  state = next;
  if (next.name !== "live") isLive = false;
  if (next.name === "waiting") retryAt = Date.now() + next.ms;
  byId("state").dataset.state = next.name;
  const isAgain = next.name === "connecting" && stream?.lastReceivedAt;
  setText("state-text", isAgain ? "Reconnecting" : STATE_LABELS[next.name]);
  byId("retry").hidden = next.name !== "waiting" && next.name !== "refused";
  tick();
}

/** Shows what changes with time alone. */
function tick() {
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  setText(
    "state-more",
    state.name === "waiting"
      ? `Trying again in ${seconds} s.`
      : state.name === "refused"
      ? state.reason
      : "",
  );
  setText("reconnects", String(stream?.reconnects ?? 0));
  setText("heard", describeAge(stream?.lastReceivedAt));
  setText("last-id", stream?.lastEventId || "none yet");
  const { now, peak } = chart.draw(rates.read(Date.now()));
  setText("rate", `now ${formatRate(now)}`);
  setText("peak", `peak ${formatRate(peak)}`);
}

function describeAge(time) {
  if (!time) return "not yet";
  const seconds = Math.round((Date.now() - time) / 1000);
  if (seconds < 2) return "just now";
  return seconds < 120 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}

/** Tells those who do not see the page, in one sentence for all that came. */
function announce() {
  if (unread === 0 || list.isPaused) return;
  setText("news", plural(unread, "new event"));
  unread = 0;
}

/** Draws in the next frame, however many events ask for it. */
function drawSoon() {
  if (isDrawPending) return;
  isDrawPending = true;
  const wait = drawnAt + REDRAW_MS - performance.now();
  if (wait <= 0) requestAnimationFrame(draw);
  else setTimeout(() => requestAnimationFrame(draw), wait);
}

function draw() {
  isDrawPending = false;
  drawnAt = performance.now();
  chips.draw();
  if (list.hasChange) {
    const { isReset, entries } = list.takeChange();
    const made = entries.map((entry) => createRow(entry, chips.seriesOf));
    if (isReset) rows.replaceChildren(...made);
    else rows.prepend(...made);
    while (rows.children.length > LIMITS.maxRows) rows.lastElementChild.remove();
  }
  setText("last-id", stream?.lastEventId || "none yet");
  setText("count", describeCount());
  setText("empty", describeEmpty());
  byId("empty").hidden = list.matching > 0;
  byId("waiting").hidden = !list.isPaused;
  const verb = list.waiting === 1 ? "waits" : "wait";
  setText("waiting", `Paused. ${plural(list.waiting, "new event")} ${verb}.`);
  byId("download").disabled = list.matching === 0;
}

function describeCount() {
  const { events, matching } = list;
  if (matching === 0) return "";
  const of = matching < events ? ` of ${plural(events, "event")} match` : "";
  const all = of ? `${matching.toLocaleString("en")}${of}` : plural(matching, "event");
  const { maxRows } = LIMITS;
  return matching > maxRows ? `${all}; the newest ${maxRows} are listed.` : `${all}.`;
}

function describeEmpty() {
  if (list.events > 0) return "No event matches the filter.";
  if (!stream) return "Reading the history.";
  return "No events yet. Send one with the form on this page, or from your own program.";
}

function filter() {
  list.filter(createEventFilter(chips.picked, byId("text").value));
  drawSoon();
}

function listen() {
  byId("text").addEventListener("input", filter);
  byId("pause").addEventListener("click", () => {
    if (list.isPaused) list.resume();
    else list.pause();
    setText("pause", list.isPaused ? "Resume" : "Pause");
    byId("pause").classList.toggle("primary", list.isPaused);
    drawSoon();
  });
  byId("clear").addEventListener("click", () => {
    list.clear();
    drawSoon();
  });
  byId("download").addEventListener("click", download);
  byId("retry").addEventListener("click", () => stream?.retryNow());
  addEventListener("online", () => stream?.retryNow());
  rows.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.action === "copy") copy(button, describeEvent(entryOf(button)));
    if (button?.dataset.action === "all") showAll(button);
  });
  byId("send-form").addEventListener("submit", send);
}

/** Saves the events that the filter keeps, oldest first. */
function download() {
  const lines = [...list.matchingEvents()].reverse().map(({ id, channel, time, payload }) => {
    const rest = JSON.stringify({ id, channel, time: new Date(time) });
    return `${rest.slice(0, -1)},"payload":${payload}}\n`;
  });
  const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  const link = element("a", { href: url, download: `${pipeline}.ndjson` });
  link.click();
  URL.revokeObjectURL(url);
}

async function send(event) {
  event.preventDefault();
  const payload = byId("send-payload").value.trim();
  try {
    JSON.parse(payload);
  } catch {
    setText("sent", "Not sent: the payload is not JSON. Put a plain text in double quotes.");
    byId("send-payload").focus();
    return;
  }
  const button = byId("send");
  button.disabled = true;
  setText("sent", "Sending.");
  try {
    const id = await client.send(byId("send-channel").value, payload);
    setText("sent", `Sent as ${id}.`);
  } catch (error) {
    setText("sent", `Not sent: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}
