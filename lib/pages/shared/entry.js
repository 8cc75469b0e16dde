// @ts-check
/**
 * The entries of a list of events: events, and notices of the stream between them.
 *
 * @module
 */

/**
 * An event of the list.
 *
 * @typedef {object} EventEntry
 * @property {"event"} kind
 * @property {string} id
 * @property {string} channel
 * @property {number} time When it was published or when it arrived, in milliseconds since 1970.
 * @property {boolean} isPublishTime Whether `time` is the time of the publish.
 * @property {string} payload JSON text.
 * @property {"history" | "caught up" | "live"} origin Published before the page connected, while
 *   it was disconnected, or while it was connected.
 */

/**
 * A notice of the stream about itself.
 *
 * @typedef {object} NoticeEntry
 * @property {"live" | "gap" | "end"} kind
 * @property {number} time When it arrived, in milliseconds since 1970.
 * @property {string} text A sentence for people.
 */

/** @typedef {EventEntry | NoticeEntry} Entry */

/**
 * Describes the time of an event for programs: as the service does, or by another name if it is
 * the time of the arrival.
 *
 * @param {Pick<EventEntry, "time" | "isPublishTime">} event
 * @returns {{ time: string } | { arrived: string }}
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * const iso = "1970-01-01T00:00:00.000Z";
 * deepEqual(describeTime({ time: 0, isPublishTime: true }), { time: iso });
 * deepEqual(describeTime({ time: 0, isPublishTime: false }), { arrived: iso });
 * ```
 */
export function describeTime({ time, isPublishTime }) {
  const iso = new Date(time).toISOString();
  return isPublishTime ? { time: iso } : { arrived: iso };
}
