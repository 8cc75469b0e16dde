// @ts-check
/**
 * The rows of a list of events, one for each entry.
 *
 * @module
 */

import { copy } from "./clipboard.js";
import { element } from "./elements.js";
import { describeTime } from "./entry.js";
import { layOutJson, tokenizeJson } from "./json.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./entry.js").EventEntry} EventEntry */
/** @typedef {import("./entry.js").NoticeEntry} NoticeEntry */

/** Lines of a payload that are shown at first, and the length up to which all of them are. */
const LINES = 12;
const MAX_LINES = 16;

/** Characters of a line, and of a payload, that are shown at first. */
const LINE_CHARS = 1000;
const BEGINNING_CHARS = 4000;

/** Lines up to which a whole payload is laid out. A larger one is shown as it was sent. */
const MAX_LAID_OUT_LINES = 5000;

/** Characters of a text that are colored: each token is an element. */
const COLORED_CHARS = 4000;

const timeFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/**
 * The entry of each row.
 *
 * @type {WeakMap<Element, Entry>}
 */
const entries = new WeakMap();

/**
 * Creates the row of an entry.
 *
 * @param {Entry} entry
 * @param {(channel: string) => number} seriesOf Returns the number of a channel's color.
 */
export function createRow(entry, seriesOf) {
  const row = entry.kind === "event" ? eventRow(entry, seriesOf) : noticeRow(entry);
  entries.set(row, entry);
  return row;
}

/**
 * Handles a click in a list of rows: copies an event, or shows its whole payload.
 *
 * @param {MouseEvent} click
 */
export function handleRowClick({ target }) {
  const button = target instanceof Element ? target.closest("button") : null;
  const row = button?.closest("li");
  if (!button || !row) return;
  const entry = entries.get(row);
  if (entry?.kind !== "event") return;
  if (button.dataset["action"] === "copy") copy(button, describeEvent(entry));
  if (button.dataset["action"] === "all") showAll(row, entry, button);
}

/**
 * Shows the time of a row's event again, after it was changed.
 *
 * @param {Element} row
 */
export function refreshTime(row) {
  const entry = entries.get(row);
  if (entry) row.querySelector("time")?.replaceWith(timeElement(entry));
}

/** @param {EventEntry} event */
function describeEvent({ id, channel, payload, ...event }) {
  const rest = JSON.stringify({ id, channel, ...describeTime(event) });
  return layOutWhole(`${rest.slice(0, -1)},"payload":${payload}}`);
}

/**
 * @param {Element} row
 * @param {EventEntry} event
 * @param {HTMLButtonElement} button
 */
function showAll(row, { payload }, button) {
  const pre = row.querySelector("pre");
  pre?.replaceChildren(element("code", {}, ...highlight(layOutWhole(payload))));
  pre?.focus();
  button.remove();
}

/**
 * @param {EventEntry} event
 * @param {(channel: string) => number} seriesOf
 */
function eventRow(event, seriesOf) {
  const { beginning, isWhole } = layOutBeginning(event.payload);
  const row = element(
    "li",
    { class: event.origin === "live" ? "row" : "row is-history", "data-id": event.id },
    element(
      "div",
      { class: "row-head" },
      element(
        "span",
        { class: "channel" },
        element("span", { class: `swatch series-${seriesOf(event.channel)}` }),
        event.channel,
      ),
      timeElement(event),
      element("code", { class: "id" }, event.id),
      ...(event.origin === "live" ? [] : [element("span", { class: "tag" }, event.origin)]),
      element(
        "button",
        {
          type: "button",
          class: "quiet",
          "data-action": "copy",
          "aria-label": `Copy event ${event.id}`,
        },
        "Copy",
      ),
    ),
    element(
      "pre",
      { class: "payload", tabindex: "-1" },
      element("code", {}, ...highlight(beginning)),
    ),
  );
  if (!isWhole) {
    const label = `Show all of it (${event.payload.length.toLocaleString("en")} characters)`;
    row.append(element("button", { type: "button", class: "quiet", "data-action": "all" }, label));
  }
  return row;
}

/** @param {string} payload */
function layOutBeginning(payload) {
  const { text, lines } = layOutJson(payload.slice(0, BEGINNING_CHARS), MAX_LINES);
  const shown = text.split("\n", lines > MAX_LINES ? LINES : MAX_LINES);
  const beginning = shown.map((line) => line.slice(0, LINE_CHARS)).join("\n");
  return { beginning, isWhole: payload.length <= BEGINNING_CHARS && beginning === text };
}

/** @param {string} payload */
function layOutWhole(payload) {
  const { text, lines } = layOutJson(payload, MAX_LAID_OUT_LINES);
  return lines > MAX_LAID_OUT_LINES ? payload : text;
}

/**
 * JSON text as nodes: each token in its color, as far as the text is colored.
 *
 * @param {string} text
 */
function highlight(text) {
  const colored = tokenizeJson(text.slice(0, COLORED_CHARS)).map(({ kind, text }) => {
    return kind === "mark" ? text : element("span", { class: `json-${kind}` }, text);
  });
  return [...colored, text.slice(COLORED_CHARS)];
}

/** @param {NoticeEntry} notice */
function noticeRow(notice) {
  return element(
    "li",
    { class: `notice is-${notice.kind}` },
    element("span", {}, notice.text),
    timeElement(notice),
  );
}

/** @param {Entry} entry */
function timeElement(entry) {
  const date = new Date(entry.time);
  const iso = date.toISOString();
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? "" : `${dayFormat.format(date)} `;
  const text = day + timeFormat.format(date);
  if (entry.kind !== "event") return element("time", { datetime: iso, title: iso }, text);
  const title = entry.isPublishTime
    ? `Published at ${iso}, by the clock of the service`
    : `Arrived at ${iso}, by the clock of this computer: the stream contains no times`;
  const label = element("span", {}, entry.isPublishTime ? "published" : "arrived");
  return element("time", { datetime: iso, title }, text, " ", label);
}
