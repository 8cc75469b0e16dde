// @ts-check
/**
 * The live viewer of a pipeline: `GET /pipelines/:pipeline`.
 *
 * @module
 */

import { PipelineClient } from "../client/pipeline_client.js";
import { PipelineStream } from "../client/pipeline_stream.js";
import { holdStreamSlot } from "../client/stream_slots.js";
import { byId, setText } from "../shared/elements.js";
import { createRow, handleRowClick } from "../shared/event_rows.js";
import { describeEnd, describeGap, describeLive, plural } from "../shared/messages.js";
import { createTokenForm } from "../shared/token_form.js";
import { ChannelChips } from "./channel_chips.js";
import { colorOf } from "./channel_colors.js";
import { ConnectionPanel } from "./connection_panel.js";
import { connectDelete } from "./delete_history.js";
import { saveEvents } from "./download.js";
import { createEventFilter } from "./event_filter.js";
import { EventList } from "./event_list.js";
import { throttleFrames } from "./frame_throttle.js";
import { readHistory, showPublishTimes } from "./history.js";
import { Legend } from "./legend.js";
import { describeCount, describeEmpty } from "./list_words.js";
import { RateChart } from "./rate_chart.js";
import { formatRate } from "./rate_scale.js";
import { Rates } from "./rates.js";
import { connectSendForm } from "./send_form.js";

/** @typedef {import("../shared/entry.js").EventEntry} EventEntry */

/** Maximum number of entries and payload characters that are kept, and of rows in the document. */
const LIMITS = { maxEntries: 10_000, maxChars: 32 * 1024 * 1024, maxRows: 200 };

/** The intervals of the chart: five minutes together. */
const INTERVAL_MS = 5000;
const INTERVALS = 60;

/** Minimum time between two drawings of the events, in milliseconds. */
const REDRAW_MS = 100;

/** Minimum time between two announcements to screen readers, in milliseconds. */
const ANNOUNCE_MS = 5000;

/** Interval between reads of the publish times of live events, in milliseconds. */
const TIMES_MS = 5000;

/** Number of events that wait for their publish times: the history has no older ones. */
const MAX_UNTIMED = 400;

const pipeline = location.pathname.split("/")[2] ?? "";
const askToken = createTokenForm("token");
const client = new PipelineClient(pipeline, async (why) => {
  if (connection.isLive) return await askToken(why);
  showState({ name: "needs-token" });
  const token = await askToken(why);
  showState({ name: "connecting" });
  return token;
});
const connection = new ConnectionPanel();
const list = new EventList(LIMITS);
const drawSoon = throttleFrames(draw, REDRAW_MS);
const rates = new Rates(INTERVAL_MS, INTERVALS);
const chips = new ChannelChips(byId("chips"), filter);
const chart = new RateChart(byId("chart"));
const legend = new Legend(byId("legend"));
const rows = byId("rows");
const text = byId("text", HTMLInputElement);
const download = byId("download", HTMLButtonElement);
/** @type {PipelineStream | null} */
let stream = null;
let isLive = false;
/**
 * The newest events whose publish times were not read yet: the stream does not contain them.
 *
 * @type {EventEntry[]}
 */
const untimed = [];
/** Number of events that were not announced yet. */
let unannounced = 0;

setText("pipeline", pipeline);
document.title = `${pipeline} · Runnel`;
byId("raw", HTMLAnchorElement).href = `${client.path}/sse`;
byId("json", HTMLAnchorElement).href = `${client.path}/events`;
byId("send-details", HTMLDetailsElement).open = matchMedia("(min-width: 60rem)").matches;

text.addEventListener("input", filter);
byId("pause").addEventListener("click", togglePause);
byId("clear").addEventListener("click", clearList);
download.addEventListener("click", saveMatching);
byId("retry").addEventListener("click", () => stream?.retryNow());
rows.addEventListener("click", handleRowClick);
connectSendForm(client);
connectDelete(client, clearList);
setInterval(tick, 1000);
setInterval(announce, ANNOUNCE_MS);
setInterval(readTimes, TIMES_MS);
await start();

async function start() {
  const { events, end, lastEventId } = await readHistory(client, showState);
  for (const { time, ...event } of events) {
    addEvent({
      kind: "event",
      ...event,
      time: Date.parse(time),
      isPublishTime: true,
      origin: "history",
    });
  }
  stream = new PipelineStream({
    client,
    origin: location.origin,
    lastEventId,
    onEvent: receive,
    onState: showState,
    holdSlot: holdStreamSlot,
  });
  if (end) {
    // The service would not send it to a client that has its position.
    receive({ type: "end", pipeline, ...end });
    return showState({ name: "ended", transport: "stream" });
  }
  await stream.run();
}

function clearList() {
  list.clear();
  drawSoon();
}

/** @param {import("../client/pipeline_stream.js").ClientEvent} event */
function receive(event) {
  const time = Date.now();
  switch (event.type) {
    case "event":
      receivePublished(event, time);
      break;
    case "live": {
      const text = describeLive(event.replayed, stream?.reconnects ?? 0, list.events > 0);
      // An unstable network would fill the page with these notices.
      if (list.newest?.kind !== "live") list.add({ kind: "live", time, text });
      isLive = true;
      showPublishTimes(untimed.splice(0), client, rows);
      break;
    }
    case "gap":
      list.add({ kind: "gap", time, text: describeGap(event) });
      break;
    case "end":
      list.add({ kind: "end", time, text: describeEnd(event) });
      showPublishTimes(untimed.splice(0), client, rows);
  }
  drawSoon();
}

/**
 * @param {import("../client/pipeline_stream.js").PublishedEvent} event
 * @param {number} time When it arrived, in milliseconds since 1970.
 */
function receivePublished({ id, channel, data: payload }, time) {
  const isCaughtUp = (stream?.reconnects ?? 0) > 0;
  /** @type {EventEntry} */
  const entry = {
    kind: "event",
    id,
    channel,
    payload,
    time,
    isPublishTime: false,
    origin: isLive ? "live" : isCaughtUp ? "caught up" : "history",
  };
  addEvent(entry);
  untimed.push(entry);
  if (untimed.length > MAX_UNTIMED) untimed.shift();
  unannounced++;
}

/** @param {EventEntry} event */
function addEvent(event) {
  chips.add(event.channel);
  // By color, because the number of channels has no limit.
  rates.add(String(colorOf(event.channel)), event.time);
  list.add(event);
  drawSoon();
}

/** @param {import("./connection_panel.js").State} state */
function showState(state) {
  if (state.name !== "live") isLive = false;
  connection.showState(state, stream);
  drawSoon();
  drawChart();
}

/** Reads the publish times of live events, unless nobody looks. */
function readTimes() {
  if (isLive && !document.hidden) showPublishTimes(untimed.splice(0), client, rows);
}

/** Shows what changes with time. */
function tick() {
  connection.refresh(stream);
  drawChart();
}

function drawChart() {
  const intervals = rates.read(Date.now());
  const { now, peak } = chart.draw(intervals);
  legend.draw(intervals, (color) => chips.namesOf(color));
  setText("rate", `now ${formatRate(now)}`);
  setText("peak", `peak ${formatRate(peak)}`);
}

/** Announces new events to screen readers, in one sentence for all of them. */
function announce() {
  if (unannounced === 0 || list.isPaused) return;
  setText("announcement", plural(unannounced, "new event"));
  unannounced = 0;
}

/** Shows what changes with events. */
function draw() {
  chips.draw();
  if (list.hasChange) {
    const { isReset, entries } = list.takeChange();
    const added = entries.map((entry) => createRow(entry, colorOf));
    if (isReset) rows.replaceChildren(...added);
    else rows.prepend(...added);
    while (rows.children.length > LIMITS.maxRows) rows.lastElementChild?.remove();
  }
  setText("last-id", stream?.lastEventId || "none yet");
  setText("count", describeCount(list, LIMITS.maxRows));
  const isComplete = stream !== null && !connection.hasEnded;
  setText("empty", describeEmpty(list, isComplete ? null : connection.describeHistory()));
  byId("empty").hidden = list.matching > 0;
  byId("waiting").hidden = !list.isPaused;
  const verb = list.waiting === 1 ? "waits" : "wait";
  setText("waiting", `Paused. ${plural(list.waiting, "new event")} ${verb}.`);
  download.disabled = list.matching === 0;
}

function filter() {
  list.filter(createEventFilter(chips.picked, text.value));
  drawSoon();
}

function togglePause() {
  if (list.isPaused) list.resume();
  else list.pause();
  setText("pause", list.isPaused ? "Resume" : "Pause");
  byId("pause").classList.toggle("primary", list.isPaused);
  drawSoon();
}

/** Saves the events that match the filter, oldest first. */
function saveMatching() {
  saveEvents(`${pipeline}.ndjson`, [...list.matchingEvents()].reverse());
}
