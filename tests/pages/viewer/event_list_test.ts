import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { type Entry, EventView, type ViewedEvent } from "../../../lib/pages/viewer/event_list.js";

const LIMITS = { maxEntries: 10, maxChars: 1000, maxRows: 3 };

function event(id: string, payload = "1"): ViewedEvent {
  return {
    kind: "event",
    id,
    channel: "events",
    time: 0,
    isPublishTime: true,
    payload,
    origin: "news",
  };
}

function add(view: EventView, ...ids: string[]): void {
  for (const id of ids) view.add(event(id));
}

/** What a page shows that follows the view's changes. */
class Rows {
  #rows: Entry[] = [];

  ids(view: EventView): string[] {
    const { isReset, entries } = view.takeChange();
    this.#rows = [...entries, ...(isReset ? [] : this.#rows)].slice(0, LIMITS.maxRows);
    return this.#rows.map((entry) => entry.kind === "event" ? entry.id : entry.kind);
  }
}

Deno.test("EventView shows the newest first, and only so many", () => {
  const view = new EventView(LIMITS);
  const rows = new Rows();
  equal(view.hasChange, false);
  add(view, "a", "b");
  deepEqual(rows.ids(view), ["b", "a"]);
  equal(view.hasChange, false);
  add(view, "c", "d");
  equal(view.hasChange, true);
  deepEqual(rows.ids(view), ["d", "c", "b"]);
  deepEqual([view.events, view.matching], [4, 4]);
});

Deno.test("EventView hands over no more than the page can have, however much came", () => {
  const view = new EventView(LIMITS);
  add(view, ..."abcdefgh");
  equal(view.takeChange().entries.length, 3);
});

Deno.test("EventView shows what a filter keeps, and every notice", () => {
  const view = new EventView(LIMITS);
  const rows = new Rows();
  add(view, "a1", "b1", "a2");
  view.add({ kind: "gap", time: 0, text: "" });
  deepEqual(rows.ids(view), ["gap", "a2", "b1"]);
  view.filter(({ id }) => id.startsWith("b"));
  deepEqual(rows.ids(view), ["gap", "b1"]);
  add(view, "a3", "b2");
  deepEqual(rows.ids(view), ["b2", "gap", "b1"]);
  deepEqual([view.events, view.matching], [5, 2]);
  deepEqual([...view.matchingEvents()].map(({ id }) => id), ["b2", "b1"]);
});

Deno.test("EventView loses nothing while it is paused", () => {
  const view = new EventView(LIMITS);
  const rows = new Rows();
  add(view, "a");
  view.pause();
  add(view, "b", "c");
  deepEqual(rows.ids(view), ["a"]);
  deepEqual([view.events, view.waiting, view.isPaused], [1, 2, true]);
  deepEqual([...view.matchingEvents()].map(({ id }) => id), ["a"]);
  view.filter(({ id }) => id !== "b");
  deepEqual(rows.ids(view), ["a"]);
  view.resume();
  deepEqual(rows.ids(view), ["c", "a"]);
  deepEqual([view.events, view.matching, view.waiting, view.isPaused], [3, 2, 0, false]);
});

Deno.test("EventView shows a filter's change that a resume follows at once", () => {
  const view = new EventView(LIMITS);
  const rows = new Rows();
  add(view, "a", "b");
  rows.ids(view);
  view.pause();
  view.filter(({ id }) => id === "a");
  view.resume();
  deepEqual(rows.ids(view), ["a"]);
});

Deno.test("EventView counts all that waits, even what it could not keep", () => {
  const view = new EventView(LIMITS);
  view.pause();
  for (let i = 0; i < 25; i++) view.add(event(String(i)));
  equal(view.waiting, 25);
  view.resume();
  deepEqual([view.events, view.matching, view.waiting], [10, 10, 0]);
});

Deno.test("EventView clears what is seen, and not what waits", () => {
  const view = new EventView(LIMITS);
  const rows = new Rows();
  add(view, "a", "b");
  view.pause();
  add(view, "c");
  view.clear();
  deepEqual(rows.ids(view), []);
  deepEqual([view.events, view.waiting], [0, 1]);
  view.resume();
  deepEqual(rows.ids(view), ["c"]);
  view.clear();
  deepEqual(rows.ids(view), []);
});

Deno.test("EventView keeps within its limits", () => {
  const view = new EventView(LIMITS);
  for (let i = 0; i < 20; i++) view.add(event(String(i), "x".repeat(300)));
  deepEqual([view.events, view.matching], [3, 3]);
  equal(view.newest, [...view.matchingEvents()][0]);
});
