// @ts-check
/**
 * What the viewer keeps, and which of it is to be seen.
 *
 * @module
 */

import { BoundedList } from "./bounded_list.js";

/**
 * An event, as the viewer keeps it.
 *
 * @typedef {object} ListedEvent
 * @property {"event"} kind
 * @property {string} id Its ID.
 * @property {string} channel Its channel.
 * @property {number} time When it was published, or arrived.
 * @property {boolean} isPublishTime Which of the two.
 * @property {string} payload Its payload as JSON text.
 * @property {"history" | "caught up" | "news"} origin When it happened: before the page came, while
 *   it was away, or while it was connected.
 */

/**
 * Something that the stream says about itself.
 *
 * @typedef {object} Notice
 * @property {"live" | "gap"} kind
 * @property {number} time When it arrived.
 * @property {string} text What it says, for people.
 */

/** @typedef {ListedEvent | Notice} Entry */

/**
 * What has to change on the page.
 *
 * @typedef {object} Change
 * @property {boolean} isReset Whether what is on the page goes.
 * @property {Entry[]} entries What is put on top, newest first.
 */

/** The kept entries with a filter and a pause. */
export class EventList {
  #maxRows;
  /** @type {BoundedList<{ entry: Entry, number: number }>} */
  #kept;
  /** @type {(event: ListedEvent) => boolean} */
  #keeps = () => true;
  #newest = 0;
  /** The newest that may be seen. */
  #end = Infinity;
  /** The newest that is on the page. */
  #shown = 0;
  #isReset = false;
  #matching = 0;
  #events = 0;
  #waiting = 0;

  /**
   * Makes an empty one.
   *
   * @param {{ maxEntries: number, maxChars: number, maxRows: number }} limits How much it keeps, in
   *   entries and characters, and how many rows the page has at most.
   */
  constructor({ maxEntries, maxChars, maxRows }) {
    this.#maxRows = maxRows;
    this.#kept = new BoundedList(maxEntries, maxChars, ({ entry }) => {
      return entry.kind === "event" ? entry.payload.length : 0;
    });
  }

  /** How many events are kept and not waiting. @returns {number} */
  get events() {
    return this.#events;
  }

  /** How many of them the filter keeps. @returns {number} */
  get matching() {
    return this.#matching;
  }

  /** How many events came since the pause. @returns {number} */
  get waiting() {
    return this.#waiting;
  }

  /** Whether it is paused. @returns {boolean} */
  get isPaused() {
    return this.#end !== Infinity;
  }

  /** The newest entry. @returns {Entry | undefined} */
  get newest() {
    return this.#kept.newestFirst().next().value?.entry;
  }

  /**
   * Adds an entry on top.
   *
   * @param {Entry} entry The entry.
   *
   * @example
   * ```ts
   * import { deepStrictEqual as deepEqual } from "node:assert/strict";
   *
   * const list = new EventList({ maxEntries: 10, maxChars: 100, maxRows: 5 });
   * const entry = { kind: "gap" as const, time: 0, text: "2 events are missing" };
   * list.add(entry);
   * deepEqual(list.takeChange(), { isReset: false, entries: [entry] });
   * ```
   */
  add(entry) {
    const number = ++this.#newest;
    for (const gone of this.#kept.push({ entry, number })) this.#count(gone, -1);
    this.#count({ entry, number }, 1);
  }

  /** @param {(event: ListedEvent) => boolean} keeps The new filter. */
  filter(keeps) {
    this.#keeps = keeps;
    this.#recount();
    this.#isReset = true;
  }

  /** Shows nothing newer from here on; what comes waits. */
  pause() {
    this.#end = this.#newest;
  }

  /** Shows what waited. */
  resume() {
    this.#end = Infinity;
    this.#recount();
  }

  /** Drops what is seen; what waits goes on waiting. */
  clear() {
    const waiting = [...this.#kept.newestFirst()].filter(({ number }) => number > this.#end);
    this.#kept.clear();
    for (const item of waiting.reverse()) this.#kept.push(item);
    this.#recount();
    this.#isReset = true;
  }

  /** Whether the page has to change. @returns {boolean} */
  get hasChange() {
    return this.#isReset || this.#shown < Math.min(this.#newest, this.#end);
  }

  /** What has to change on the page since the last time. @returns {Change} */
  takeChange() {
    const isReset = this.#isReset;
    const after = isReset ? 0 : this.#shown;
    const entries = [];
    for (const { entry, number } of this.#kept.newestFirst()) {
      if (number <= after || entries.length === this.#maxRows) break;
      if (number <= this.#end && this.#matches(entry)) entries.push(entry);
    }
    this.#shown = Math.min(this.#newest, this.#end);
    this.#isReset = false;
    return { isReset, entries };
  }

  /** The events that the filter keeps, newest first. @returns {Generator<ListedEvent>} */
  *matchingEvents() {
    for (const { entry, number } of this.#kept.newestFirst()) {
      if (number > this.#end || entry.kind !== "event" || !this.#keeps(entry)) continue;
      yield entry;
    }
  }

  /** @param {Entry} entry */
  #matches(entry) {
    return entry.kind !== "event" || this.#keeps(entry);
  }

  /** @param {{ entry: Entry, number: number }} item @param {1 | -1} by */
  #count({ entry, number }, by) {
    if (entry.kind !== "event") return;
    if (number > this.#end) {
      // One that waited and had to go still counts: somebody is to be told of it.
      if (by > 0) this.#waiting++;
      return;
    }
    this.#events += by;
    if (this.#keeps(entry)) this.#matching += by;
  }

  #recount() {
    const waiting = this.#waiting;
    this.#events = this.#matching = this.#waiting = 0;
    for (const item of this.#kept.newestFirst()) this.#count(item, 1);
    if (this.isPaused) this.#waiting = waiting;
  }
}
