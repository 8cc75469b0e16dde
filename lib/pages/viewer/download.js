// @ts-check
/**
 * Saves events to a file of the user.
 *
 * @module
 */

import { element } from "../shared/elements.js";
import { describeTime } from "../shared/entry.js";

/**
 * Saves events as NDJSON.
 *
 * @param {string} name File name.
 * @param {import("../shared/entry.js").EventEntry[]} events
 */
export function saveEvents(name, events) {
  const lines = events.map(({ id, channel, payload, ...event }) => {
    const rest = JSON.stringify({ id, channel, ...describeTime(event) });
    return `${rest.slice(0, -1)},"payload":${payload}}\n`;
  });
  const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  element("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
