// @ts-check
/**
 * Sentences about the list of events.
 *
 * @module
 */

import { plural } from "../shared/messages.js";

/** @typedef {Pick<import("./event_list.js").EventList, "events" | "matching">} EventList */

/**
 * Describes the number of events.
 *
 * @param {EventList} list
 * @param {number} maxRows Maximum number of rows in the document.
 */
export function describeCount({ events, matching }, maxRows) {
  if (matching === 0) return "";
  const all = matching < events
    ? `${matching.toLocaleString("en")} of ${plural(events, "event")} match`
    : plural(matching, "event");
  return matching > maxRows ? `${all}; the newest ${maxRows} are listed.` : `${all}.`;
}

/**
 * Describes a list without rows.
 *
 * @param {EventList} list
 * @param {string | null} history What becomes of the history, if it has not been read or the run has
 *   ended.
 */
export function describeEmpty(list, history) {
  if (list.events > 0) return "No event matches the filter.";
  if (history !== null) return history;
  return "No events yet. Send one with the form on this page, or from your own program.";
}
