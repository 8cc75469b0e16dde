import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Entry, EventEntry } from "../../../lib/pages/shared/entry.js";
import { EventList } from "../../../lib/pages/viewer/event_list.js";

const LIMITS = { maxEntries: 10, maxChars: 1000, maxRows: 3 };

function event(id: string, payload = "1"): EventEntry {
  return {
    kind: "event",
    id,
    channel: "events",
    time: 0,
    isPublishTime: true,
    payload,
    origin: "live",
  };
}

function add(list: EventList, ...ids: string[]): void {
  for (const id of ids) list.add(event(id));
}

/** The rows of a page that applies the list's changes. */
class Rows {
  #rows: Entry[] = [];

  ids(list: EventList): string[] {
    const { isReset, entries } = list.takeChange();
    this.#rows = [...entries, ...(isReset ? [] : this.#rows)].slice(0, LIMITS.maxRows);
    return this.#rows.map((entry) => entry.kind === "event" ? entry.id : entry.kind);
  }
}

Deno.test("EventList.takeChange() returns new entries, newest first", () => {
  const list = new EventList(LIMITS);
  const rows = new Rows();
  equal(list.hasChange, false);
  add(list, "a", "b");
  deepEqual(rows.ids(list), ["b", "a"]);
  equal(list.hasChange, false);
  add(list, "c", "d");
  equal(list.hasChange, true);
  deepEqual(rows.ids(list), ["d", "c", "b"]);
  deepEqual([list.events, list.matching], [4, 4]);
});

Deno.test("EventList.takeChange() returns at most as many entries as the page has rows", () => {
  const list = new EventList(LIMITS);
  add(list, ..."abcdefgh");
  equal(list.takeChange().entries.length, 3);
});

Deno.test("EventList.filter() keeps the events that match, and every notice", () => {
  const list = new EventList(LIMITS);
  const rows = new Rows();
  add(list, "a1", "b1", "a2");
  list.add({ kind: "gap", time: 0, text: "" });
  deepEqual(rows.ids(list), ["gap", "a2", "b1"]);
  list.filter(({ id }) => id.startsWith("b"));
  deepEqual(rows.ids(list), ["gap", "b1"]);
  add(list, "a3", "b2");
  deepEqual(rows.ids(list), ["b2", "gap", "b1"]);
  deepEqual([list.events, list.matching], [5, 2]);
  deepEqual([...list.matchingEvents()].map(({ id }) => id), ["b2", "b1"]);
});

Deno.test("EventList.pause() keeps new events until resume()", () => {
  const list = new EventList(LIMITS);
  const rows = new Rows();
  add(list, "a");
  list.pause();
  add(list, "b", "c");
  deepEqual(rows.ids(list), ["a"]);
  deepEqual([list.events, list.waiting, list.isPaused], [1, 2, true]);
  deepEqual([...list.matchingEvents()].map(({ id }) => id), ["a"]);
  list.filter(({ id }) => id !== "b");
  deepEqual(rows.ids(list), ["a"]);
  list.resume();
  deepEqual(rows.ids(list), ["c", "a"]);
  deepEqual([list.events, list.matching, list.waiting, list.isPaused], [3, 2, 0, false]);
});

Deno.test("EventList applies a filter that is set right before resume()", () => {
  const list = new EventList(LIMITS);
  const rows = new Rows();
  add(list, "a", "b");
  rows.ids(list);
  list.pause();
  list.filter(({ id }) => id === "a");
  list.resume();
  deepEqual(rows.ids(list), ["a"]);
});

Deno.test("EventList.waiting counts all waiting events, dropped ones included", () => {
  const list = new EventList(LIMITS);
  list.pause();
  for (let i = 0; i < 25; i++) list.add(event(String(i)));
  equal(list.waiting, 25);
  list.resume();
  deepEqual([list.events, list.matching, list.waiting], [10, 10, 0]);
});

Deno.test("EventList.clear() drops the shown events, and keeps the waiting ones", () => {
  const list = new EventList(LIMITS);
  const rows = new Rows();
  add(list, "a", "b");
  list.pause();
  add(list, "c");
  list.clear();
  deepEqual(rows.ids(list), []);
  deepEqual([list.events, list.waiting], [0, 1]);
  list.resume();
  deepEqual(rows.ids(list), ["c"]);
  list.clear();
  deepEqual(rows.ids(list), []);
});

Deno.test("EventList keeps within its limit of characters", () => {
  const list = new EventList(LIMITS);
  for (let i = 0; i < 20; i++) list.add(event(String(i), "x".repeat(300)));
  deepEqual([list.events, list.matching], [3, 3]);
  equal(list.newest, [...list.matchingEvents()][0]);
});
