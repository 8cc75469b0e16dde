// @ts-check
/**
 * The rows of a list of events, one for each entry.
 *
 * @module
 */

import { copy } from "./clipboard.js";
import { element } from "./elements.js";
import { formatJson, parseJson, tokenizeJson } from "./json.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./entry.js").EventEntry} EventEntry */
/** @typedef {import("./entry.js").NoticeEntry} NoticeEntry */

/** Lines of a payload that are shown at first, and the length up to which all of them are. */
const LINES = 12;
const MAX_LINES = 16;

/** Characters of a line that are shown at first. */
const LINE_CHARS = 1000;

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
function describeEvent({ id, channel, time, payload }) {
  return JSON.stringify(
    { id, channel, time: new Date(time).toISOString(), payload: parseJson(payload) },
    null,
    2,
  );
}

/**
 * @param {Element} row
 * @param {EventEntry} event
 * @param {HTMLButtonElement} button
 */
function showAll(row, { payload }, button) {
  const pre = row.querySelector("pre");
  pre?.replaceChildren(element("code", {}, ...highlight(formatJson(payload))));
  pre?.focus();
  button.remove();
}

/**
 * @param {EventEntry} event
 * @param {(channel: string) => number} seriesOf
 */
function eventRow(event, seriesOf) {
  const text = formatJson(event.payload);
  const { beginning, rest } = cut(text);
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
  if (rest > 0) {
    const label = `Show all of it (${text.length.toLocaleString("en")} characters)`;
    row.append(element("button", { type: "button", class: "quiet", "data-action": "all" }, label));
  }
  return row;
}

/** @param {string} text */
function cut(text) {
  const lines = text.split("\n", MAX_LINES + 1);
  const shown = lines.length > MAX_LINES ? lines.slice(0, LINES) : lines;
  const beginning = shown.map((line) => line.slice(0, LINE_CHARS)).join("\n");
  return { beginning, rest: text.length - beginning.length };
}

/**
 * JSON text as nodes, each token in its color.
 *
 * @param {string} text
 */
function highlight(text) {
  return tokenizeJson(text).map(({ kind, text }) => {
    return kind === "mark" ? text : element("span", { class: `json-${kind}` }, text);
  });
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
  const isPublishTime = entry.kind === "event" && entry.isPublishTime;
  const title = `${isPublishTime ? "Published" : "Arrived"} at ${iso}`;
  return element("time", { datetime: iso, title }, day + timeFormat.format(date));
}
