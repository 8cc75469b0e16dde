// @ts-check
/**
 * The viewer's filter.
 *
 * @module
 */

/** @typedef {Pick<import("../shared/entry.js").EventEntry, "id" | "channel" | "payload">} Filterable */

/**
 * Creates a filter.
 *
 * @param {ReadonlySet<string>} channels Channels to keep; an empty set keeps all.
 * @param {string} text Text that the channel, the ID or the payload must contain, in any case.
 * @returns {(event: Filterable) => boolean} Whether an event matches.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const matches = createEventFilter(new Set(["orders"]), "luke");
 * equal(matches({ id: "a-1", channel: "orders", payload: '{"name":"Luke"}' }), true);
 * equal(matches({ id: "a-2", channel: "payments", payload: '{"name":"Luke"}' }), false);
 * ```
 */
export function createEventFilter(channels, text) {
  const trimmed = text.trim();
  // A regular expression ignores case without a copy of each payload.
  const pattern = trimmed === "" ? null : new RegExp(escapePattern(trimmed), "i");
  return ({ id, channel, payload }) => {
    if (channels.size > 0 && !channels.has(channel)) return false;
    return !pattern || pattern.test(payload) || pattern.test(channel) || pattern.test(id);
  };
}

/** @param {string} text */
function escapePattern(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
