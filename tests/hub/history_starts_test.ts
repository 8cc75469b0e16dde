import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { HistoryStarts } from "../../lib/hub/history_starts.ts";
import type { ChannelScan } from "../../lib/log/channel_scan.ts";
import type { TimePlace } from "../../lib/log/time_search.ts";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { type HistoryRange, rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import { numbers } from "../support/events.ts";
import { flush } from "../support/wait.ts";

const EPOCH = "AAECAwQFBgc";

/** The channel of an event: every tenth is rare. */
function channelOf(sequence: number): string {
  return sequence % 10 === 0 ? "rare" : "often";
}

/** The newest events of a pipeline, in memory. */
function eventsOf(first: number, last: number, epoch = EPOCH): EncodedEvents {
  const events = new EncodedEvents(epoch, first - 1);
  const payload = new TextEncoder().encode("1");
  events.append(
    numbers(first, last).map((sequence) => ({
      sequence,
      time: 0,
      channel: channelOf(sequence),
      payload,
    })),
  );
  return events;
}

function scanOf(first: number, last: number, epoch = EPOCH): ChannelScan {
  const sequences = numbers(first, last).reverse();
  const channels = Uint32Array.from(
    sequences,
    (sequence) => Number(channelOf(sequence) === "rare"),
  );
  return { epoch, last, indexes: new Map([["often", 0], ["rare", 1]]), channels };
}

/** Starts on a log that returns the scans in order, and then nothing. */
function startsOn(...scans: readonly ChannelScan[]) {
  const scanned: string[] = [];
  const starts = new HistoryStarts({
    scanChannels(pipeline) {
      scanned.push(pipeline);
      return Promise.resolve(scans[scanned.length - 1] ?? null);
    },
    findSince: () => Promise.resolve(null),
  });
  return { starts, scanned };
}

function scopeOf(newest: EncodedEvents, count: number, ...channels: string[]) {
  return {
    pipeline: "p_a",
    newest: () => newest,
    filter: new ChannelFilter(channels),
    range: rangeOfNewest(count),
  };
}

Deno.test("HistoryStarts.peek() counts back from the newest event for all channels", () => {
  const { starts, scanned } = startsOn();
  equal(starts.peek(scopeOf(eventsOf(91, 100), 50)), 50);
  equal(starts.peek(scopeOf(eventsOf(91, 100), 200)), 0);
  equal(starts.peek(scopeOf(eventsOf(91, 100), 0, "rare")), 100);
  equal(scanned.length, 0);
  equal(starts.bytes, 0);
});

Deno.test("HistoryStarts.peek() finds the newest events of a channel in memory", () => {
  const { starts } = startsOn();
  equal(starts.peek(scopeOf(eventsOf(51, 105), 3, "rare")), 79);
  equal(starts.peek(scopeOf(eventsOf(51, 105), 3, "rare", "often")), 102);
});

Deno.test("HistoryStarts.peek() scans nothing if all events are in memory", () => {
  const { starts } = startsOn();
  equal(starts.peek(scopeOf(eventsOf(1, 105), 50, "rare")), 9);
  equal(starts.peek(scopeOf(eventsOf(1, 105), 50, "none")), 105);
});

Deno.test("HistoryStarts.find() scans the log for what is not in memory", async () => {
  const { starts, scanned } = startsOn(scanOf(1, 105));
  const scope = scopeOf(eventsOf(91, 105), 4, "rare");
  equal(starts.peek(scope), null);
  equal(await starts.find(scope), 69);
  equal(starts.peek(scope), 69);
  deepEqual(scanned, ["p_a"]);
});

Deno.test("HistoryStarts.find() begins at the first event that a scan reaches", async () => {
  const { starts } = startsOn(scanOf(45, 105));
  equal(await starts.find(scopeOf(eventsOf(91, 105), 100, "rare")), 49);
  equal(await starts.find(scopeOf(eventsOf(91, 105), 100, "none")), 105);
});

Deno.test("HistoryStarts.find() scans once for all filters until the memory has moved on", async () => {
  const { starts, scanned } = startsOn(scanOf(1, 105), scanOf(1, 120));
  await Promise.all(
    numbers(1, 20).map((i) => starts.find(scopeOf(eventsOf(91, 105), 10 + i, "rare", `${i}`))),
  );
  equal(scanned.length, 1);
  // The scan and the memory meet at 105.
  equal(await starts.find(scopeOf(eventsOf(106, 119), 4, "rare")), 79);
  equal(scanned.length, 1);
  equal(await starts.find(scopeOf(eventsOf(107, 120), 4, "rare")), 89);
  equal(scanned.length, 2);
});

Deno.test("HistoryStarts.find() looks for ten histories in a turn once their scan is there", async () => {
  const due: (() => void)[] = [];
  const nextTurn = (run: () => void) => {
    due.push(run);
    return { [Symbol.dispose]() {} };
  };
  const starts = new HistoryStarts({
    scanChannels: () => Promise.resolve(scanOf(1, 105)),
    findSince: () => Promise.resolve(null),
  }, { nextTurn });
  let found = 0;
  const finds = numbers(1, 25).map(async (i) => {
    await starts.find(scopeOf(eventsOf(91, 105), 4, "rare", `${i}`));
    found++;
  });
  for (const expected of [0, 10, 20, 25]) {
    await flush();
    equal(found, expected);
    due.shift()?.();
  }
  await Promise.all(finds);
  equal(due.length, 0);
});

Deno.test("HistoryStarts.find() repairs the memory if the log was replaced", async () => {
  const { starts } = startsOn(scanOf(1, 50, "BBECAwQFBgc"), scanOf(1, 50, "BBECAwQFBgc"));
  let newest = eventsOf(91, 105);
  const repair = () => Promise.resolve(void (newest = eventsOf(41, 50, "BBECAwQFBgc")));
  const scope = { ...scopeOf(newest, 2, "rare"), newest: () => newest };
  equal(await starts.find(scope, repair), 39);
});

Deno.test("HistoryStarts.find() rejects if no scan fits the memory", async () => {
  const { starts, scanned } = startsOn();
  await rejects(starts.find(scopeOf(eventsOf(91, 105), 4, "rare")), {
    name: "RunnelError",
    type: "log-unavailable",
  });
  equal(scanned.length, 4);
});

Deno.test("HistoryStarts.find() rejects if the log does not answer, and scans again later", async () => {
  let scans = 0;
  const starts = new HistoryStarts({
    scanChannels: () =>
      scans++ ? Promise.resolve(scanOf(1, 105)) : Promise.reject(new Error("log")),
    findSince: () => Promise.resolve(null),
  });
  const scope = scopeOf(eventsOf(91, 105), 4, "rare");
  await rejects(starts.find(scope), { message: "log" });
  equal(await starts.find(scope), 69);
});

Deno.test("HistoryStarts.skip() returns how far a filter is known to pass events over", async () => {
  const { starts } = startsOn(scanOf(45, 105));
  const skip = (sequence: number, channel: string, epoch = EPOCH) =>
    starts.skip("p_a", { epoch, sequence }, new ChannelFilter([channel]));
  equal(skip(51, "rare"), 51);
  await starts.find(scopeOf(eventsOf(91, 105), 100, "rare"));
  deepEqual([43, 44, 48, 49, 50, 59].map((i) => skip(i, "rare")), [43, 49, 49, 49, 59, 59]);
  deepEqual([100, 104, 105, 106].map((i) => skip(i, "rare")), [105, 105, 105, 106]);
  equal(skip(44, "none"), 105);
  equal(skip(44, "often"), 44);
  equal(skip(44, "none", "BBECAwQFBgc"), 44);
  equal(starts.skip("p_b", { epoch: EPOCH, sequence: 44 }, new ChannelFilter(["none"])), 44);
  equal(starts.skip("p_a", { epoch: EPOCH, sequence: 44 }, new ChannelFilter([])), 44);
});

Deno.test("HistoryStarts.skip() ends before an event that is damaged or missing", async () => {
  const scan = scanOf(1, 105);
  scan.channels[105 - 60] = 2 ** 32 - 1;
  const { starts } = startsOn(scan);
  const filter = new ChannelFilter(["none"]);
  await starts.find({ ...scopeOf(eventsOf(91, 105), 100), filter });
  equal(starts.skip("p_a", { epoch: EPOCH, sequence: 44 }, filter), 59);
  equal(starts.skip("p_a", { epoch: EPOCH, sequence: 60 }, filter), 105);
});

Deno.test("HistoryStarts keeps 8 MiB of scans and 1 MiB of starts, whatever is asked", async () => {
  const names = numbers(1, 5000).map((i) => String(i).padStart(128, "x"));
  const indexes = new Map(["often", "rare", ...names].map((name, index) => [name, index]));
  const scan = { ...scanOf(1, 105), indexes };
  const { starts, scanned } = startsOn(...numbers(1, 20).map(() => scan));
  const newest = eventsOf(91, 105);
  for (let i = 1; i <= 20; i++) {
    await starts.find({ ...scopeOf(newest, 4, "rare"), pipeline: `p_${i}` });
  }
  equal(scanned.length, 20);
  ok(starts.bytes > 6 * 1024 * 1024 && starts.bytes < 8 * 1024 * 1024, `${starts.bytes}`);
  for (let i = 0; i < 2000; i++) {
    const channels = numbers(1, 20).map((n) => `${i} ${n}`.padEnd(128, "x"));
    starts.peek({ ...scopeOf(newest, 4, ...channels), pipeline: "p_20" });
  }
  ok(starts.bytes < 9 * 1024 * 1024, `${starts.bytes}`);
  equal(scanned.length, 20);
});

/** Starts on a log with the places of some times, in order, that returns nothing else. */
function startsAt(...places: readonly (TimePlace | null | Error)[]) {
  const searched: [string, number][] = [];
  const starts = new HistoryStarts({
    scanChannels: () => Promise.resolve(scanOf(1, 105)),
    findSince(pipeline, since) {
      searched.push([pipeline, since]);
      const place = places[searched.length - 1] ?? null;
      return place instanceof Error ? Promise.reject(place) : Promise.resolve(place);
    },
  });
  return { starts, searched };
}

function scopeSince(range: HistoryRange, newest: EncodedEvents, ...channels: string[]) {
  return { ...scopeOf(newest, 0, ...channels), range };
}

Deno.test("HistoryStarts.find() begins at a time, or at the newest of the channels since then", async () => {
  const { starts, searched } = startsAt({ epoch: EPOCH, start: 60 });
  const newest = eventsOf(91, 105);
  const find = (count: number, ...channels: string[]) =>
    starts.find(scopeSince({ count, since: 7 }, newest, ...channels));
  deepEqual(await find(Infinity), 60);
  deepEqual(await find(Infinity, "rare"), 60);
  deepEqual(await find(20), 85);
  deepEqual(await find(50), 60);
  deepEqual(await find(2, "rare"), 89);
  deepEqual(await find(5, "rare"), 60);
  deepEqual(await find(0), 105);
  deepEqual(searched, [["p_a", 7]]);
});

Deno.test("HistoryStarts.find() does not scan for channels before a time that is in memory", async () => {
  const { starts, searched } = startsAt({ epoch: EPOCH, start: 90 });
  const scope = scopeSince({ count: 50, since: 7 }, eventsOf(91, 105), "rare");
  equal(starts.peek(scope), null);
  equal(await starts.find(scope), 90);
  equal(searched.length, 1);
  // The memory has moved on.
  equal(starts.peek({ ...scope, newest: () => eventsOf(92, 110) }), null);
});

Deno.test("HistoryStarts.find() searches a time once for all that ask for it, also later", async () => {
  const { starts, searched } = startsAt(
    { epoch: EPOCH, start: 60 },
    { epoch: EPOCH, start: 70 },
    { epoch: "BBECAwQFBgc", start: 3 },
  );
  const since = (since: number, newest = eventsOf(91, 105)) =>
    starts.find(scopeSince({ count: Infinity, since }, newest));
  deepEqual(await Promise.all(numbers(1, 20).map(() => since(7))), numbers(1, 20).map(() => 60));
  equal(await since(7, eventsOf(191, 205)), 60);
  equal(searched.length, 1);
  equal(await since(8), 70);
  equal(await since(7, eventsOf(1, 5, "BBECAwQFBgc")), 3);
  equal(searched.length, 3);
});

Deno.test("HistoryStarts.find() begins no later than the memory, and before the end of a run", async () => {
  const { starts } = startsAt({ epoch: EPOCH, start: 106 });
  const newest = eventsOf(91, 105);
  equal(await starts.find(scopeSince({ count: Infinity, since: 7 }, newest)), 105);
  newest.end = { sequence: 105, events: 104 };
  equal(await starts.find(scopeSince({ count: Infinity, since: 7 }, newest)), 104);
});

Deno.test("HistoryStarts.find() does not search a log without events", async () => {
  const { starts, searched } = startsAt();
  const newest = new EncodedEvents(EPOCH, 0);
  equal(await starts.find(scopeSince({ count: Infinity, since: 7 }, newest)), 0);
  equal(searched.length, 0);
});

Deno.test("HistoryStarts.find() repairs the memory if a time is of another log", async () => {
  const place = { epoch: "BBECAwQFBgc", start: 45 };
  const { starts, searched } = startsAt(place, place);
  let newest = eventsOf(91, 105);
  const repair = () => Promise.resolve(void (newest = eventsOf(41, 50, "BBECAwQFBgc")));
  const range = { count: Infinity, since: 7 };
  equal(await starts.find({ ...scopeSince(range, newest), newest: () => newest }, repair), 45);
  equal(searched.length, 2);
});

Deno.test("HistoryStarts.find() rejects if a time is not found, and searches again later", async () => {
  const { starts, searched } = startsAt(new Error("log"), { epoch: EPOCH, start: 60 });
  const scope = scopeSince({ count: Infinity, since: 7 }, eventsOf(91, 105));
  await rejects(starts.find(scope), { message: "log" });
  equal(await starts.find(scope), 60);
  const none = startsAt();
  await rejects(none.starts.find(scope), { type: "log-unavailable" });
  equal(none.searched.length, 4);
  equal(searched.length, 2);
});

Deno.test("HistoryStarts keeps 1 MiB of places of times, whatever is asked", async () => {
  const starts = new HistoryStarts({
    scanChannels: () => Promise.resolve(null),
    findSince: () => Promise.resolve({ epoch: EPOCH, start: 60 }),
  });
  const newest = eventsOf(91, 105);
  for (let since = 0; since < 10_000; since++) {
    await starts.find(scopeSince({ count: Infinity, since }, newest));
  }
  ok(starts.bytes > 0 && starts.bytes <= 1024 * 1024, `${starts.bytes}`);
});
