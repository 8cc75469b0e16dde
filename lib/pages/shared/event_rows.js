/**
 * The rows of the viewer, one for each event or notice.
 *
 * @module
 */

import { colored, element } from "./elements.js";
import { formatJson, parseJson, tokenizeJson } from "./json.js";

/** How many lines of a payload are seen at first, and up to how many nothing is cut off. */
const LINES = 12;
const MAX_LINES = 16;

/** How much of a line is seen at first, in characters. */
const LINE_CHARS = 1000;

const timeFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The entry of each row, for its buttons. */
const entries = new WeakMap();

/** Makes an entry's row. */
export function createRow(entry, seriesOf) {
  const row = entry.kind === "event" ? eventRow(entry, seriesOf) : noticeRow(entry);
  entries.set(row, entry);
  return row;
}

/** The entry of the row that an element is in. */
export function entryOf(target) {
  return entries.get(target.closest("li"));
}

/** An event as one JSON text, to be copied. */
export function describeEvent({ id, channel, time, payload }) {
  return JSON.stringify(
    { id, channel, time: new Date(time).toISOString(), payload: parseJson(payload) },
    null,
    2,
  );
}

/** Shows all of a payload in place of its beginning. */
export function showAll(button) {
  const { payload } = entryOf(button);
  const code = button.parentElement.querySelector("pre code");
  code.replaceChildren(...colored(tokenizeJson(formatJson(payload))));
  code.parentElement.focus();
  button.remove();
}

/** Shows an event's time anew. */
export function refreshTime(row) {
  row.querySelector("time").replaceWith(timeOf(entries.get(row)));
}

function eventRow(event, seriesOf) {
  const text = formatJson(event.payload);
  const { beginning, rest } = cut(text);
  const row = element(
    "li",
    { class: event.origin === "news" ? "row" : "row is-history", "data-id": event.id },
    element(
      "div",
      { class: "row-head" },
      element(
        "span",
        { class: "channel" },
        element("span", { class: `swatch series-${seriesOf(event.channel)}` }),
        event.channel,
      ),
      timeOf(event),
      element("code", { class: "id" }, event.id),
      ...(event.origin === "news" ? [] : [element("span", { class: "tag" }, event.origin)]),
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
      element("code", {}, ...colored(tokenizeJson(beginning))),
    ),
  );
  if (rest > 0) {
    const label = `Show all of it (${text.length.toLocaleString("en")} characters)`;
    row.append(element("button", { type: "button", class: "quiet", "data-action": "all" }, label));
  }
  return row;
}

function cut(text) {
  const lines = text.split("\n", MAX_LINES + 1);
  const seen = lines.length > MAX_LINES ? lines.slice(0, LINES) : lines;
  const beginning = seen.map((line) => line.slice(0, LINE_CHARS)).join("\n");
  return { beginning, rest: text.length - beginning.length };
}

function noticeRow({ kind, time, text }) {
  return element(
    "li",
    { class: `notice is-${kind}` },
    element("span", {}, text),
    timeOf({ time, isPublishTime: false }),
  );
}

function timeOf({ time, isPublishTime }) {
  const date = new Date(time);
  const iso = date.toISOString();
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? "" : `${dayFormat.format(date)} `;
  const title = `${isPublishTime ? "Published" : "Arrived"} at ${iso}`;
  return element("time", { datetime: iso, title }, day + timeFormat.format(date));
}
