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
 * @property {"live" | "gap"} kind
 * @property {number} time When it arrived, in milliseconds since 1970.
 * @property {string} text A sentence for people.
 */

/** @typedef {EventEntry | NoticeEntry} Entry */

export {};
