// @ts-check
/**
 * The entries that the viewer keeps, with a filter and a pause.
 *
 * @module
 */

import { BoundedList } from "./bounded_list.js";

/** @typedef {import("../shared/entry.js").Entry} Entry */
/** @typedef {import("../shared/entry.js").EventEntry} EventEntry */

/**
 * A change of the page.
 *
 * @typedef {object} Change
 * @property {boolean} isReset Whether to remove all rows first.
 * @property {Entry[]} entries Entries to add on top, newest first.
 */

/** The entries. They are numbered in the order in which they were added. */
export class EventList {
  #maxRows;
  /** @type {BoundedList<{ entry: Entry, number: number }>} */
  #kept;
  /** @type {(event: EventEntry) => boolean} */
  #matchesFilter = () => true;
  /** Number of the newest entry. */
  #newest = 0;
  /** Number of the newest entry that may be shown: the newest at the time of a pause. */
  #end = Infinity;
  /** Number of the newest entry that {@linkcode EventList.takeChange} has returned. */
  #shown = 0;
  #isReset = false;
  #matching = 0;
  #events = 0;
  #waiting = 0;

  /**
   * @param {{ maxEntries: number, maxChars: number, maxRows: number }} limits Maximum number of
   *   entries that are kept, of characters in their payloads, and of rows in the page.
   */
  constructor({ maxEntries, maxChars, maxRows }) {
    this.#maxRows = maxRows;
    this.#kept = new BoundedList(maxEntries, maxChars, ({ entry }) => {
      return entry.kind === "event" ? entry.payload.length : 0;
    });
  }

  /** Number of kept events, without those that wait for the end of a pause. @returns {number} */
  get events() {
    return this.#events;
  }

  /** Number of these events that match the filter. @returns {number} */
  get matching() {
    return this.#matching;
  }

  /** Number of events that were added since the pause. @returns {number} */
  get waiting() {
    return this.#waiting;
  }

  /** Whether the list is paused. @returns {boolean} */
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
   * @param {Entry} entry
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
    for (const dropped of this.#kept.push({ entry, number })) this.#count(dropped, -1);
    this.#count({ entry, number }, 1);
  }

  /** @param {(event: EventEntry) => boolean} matchesFilter The new filter. */
  filter(matchesFilter) {
    this.#matchesFilter = matchesFilter;
    this.#recount();
    this.#isReset = true;
  }

  /** Stops showing new entries; they are kept, and wait. */
  pause() {
    this.#end = this.#newest;
  }

  /** Shows the entries that waited, and new ones again. */
  resume() {
    this.#end = Infinity;
    this.#recount();
  }

  /** Drops the entries that may be shown; those that wait stay. */
  clear() {
    const waiting = [...this.#kept.newestFirst()].filter(({ number }) => number > this.#end);
    this.#kept.clear();
    for (const item of waiting.reverse()) this.#kept.push(item);
    this.#recount();
    this.#isReset = true;
  }

  /** Whether {@linkcode EventList.takeChange} has something to return. @returns {boolean} */
  get hasChange() {
    return this.#isReset || this.#shown < Math.min(this.#newest, this.#end);
  }

  /** Returns the change of the page since the last call. @returns {Change} */
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

  /** Iterates over the events that match the filter, newest first. @returns {Generator<EventEntry>} */
  *matchingEvents() {
    for (const { entry, number } of this.#kept.newestFirst()) {
      if (number > this.#end || entry.kind !== "event" || !this.#matchesFilter(entry)) continue;
      yield entry;
    }
  }

  /** @param {Entry} entry */
  #matches(entry) {
    return entry.kind !== "event" || this.#matchesFilter(entry);
  }

  /** @param {{ entry: Entry, number: number }} item @param {1 | -1} by */
  #count({ entry, number }, by) {
    if (entry.kind !== "event") return;
    if (number > this.#end) {
      // An event that was dropped while it waited still counts, since the user is to know of it.
      if (by > 0) this.#waiting++;
      return;
    }
    this.#events += by;
    if (this.#matchesFilter(entry)) this.#matching += by;
  }

  #recount() {
    const waiting = this.#waiting;
    this.#events = this.#matching = this.#waiting = 0;
    for (const item of this.#kept.newestFirst()) this.#count(item, 1);
    if (this.isPaused) this.#waiting = waiting;
  }
}
