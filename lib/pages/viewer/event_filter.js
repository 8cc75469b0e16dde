// @ts-check
/**
 * Which events somebody wants to see.
 *
 * @module
 */

/**
 * What a filter looks at.
 *
 * @typedef {object} Filterable
 * @property {string} id The event's ID.
 * @property {string} channel Its channel.
 * @property {string} payload Its payload, as JSON text.
 */

/**
 * Makes a filter.
 *
 * @param {ReadonlySet<string>} channels The channels to keep; none for all.
 * @param {string} text What the channel, the ID or the payload has to contain, in any case.
 * @returns {(event: Filterable) => boolean} Whether it keeps an event.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const keeps = createEventFilter(new Set(["orders"]), "luke");
 * equal(keeps({ id: "a-1", channel: "orders", payload: '{"name":"Luke"}' }), true);
 * equal(keeps({ id: "a-2", channel: "payments", payload: '{"name":"Luke"}' }), false);
 * ```
 */
export function createEventFilter(channels, text) {
  const trimmed = text.trim();
  // A regular expression ignores case without a copy of each payload.
  const pattern = trimmed === "" ? null : new RegExp(quote(trimmed), "i");
  return ({ id, channel, payload }) => {
    if (channels.size > 0 && !channels.has(channel)) return false;
    return !pattern || pattern.test(payload) || pattern.test(channel) || pattern.test(id);
  };
}

/** @param {string} text */
function quote(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
