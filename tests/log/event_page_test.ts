import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { Semaphore } from "../../lib/base/semaphore.ts";
import { type EventPage, type EventPageOptions, readEventPage } from "../../lib/log/event_page.ts";
import { segmentKey } from "../../lib/log/keys.ts";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { formatEventId, type Position } from "../../lib/protocol/event.ts";
import { numbers } from "../support/events.ts";
import { pause } from "../support/fakes/kv.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { appendTexts, createTestLog, type TestLog, textEvent, trimBelow } from "../support/log.ts";
import { seeds } from "../support/model/repetitions.ts";

const OTHER = "AAECAwQFBgc";

/** Reads a page of the pipeline of a test after a sequence; `null` for the oldest event. */
async function pageOf(
  { log }: Pick<TestLog, "log">,
  after: number | Position | null,
  options: Partial<EventPageOptions> = {},
): Promise<EventPage> {
  const { epoch } = await log.ensureHead("p_a");
  return await readEventPage("p_a", {
    log,
    reads: new Semaphore(1),
    filter: new ChannelFilter([]),
    after: typeof after === "number" ? { epoch, sequence: after } : after,
    limit: 1000,
    ...options,
  });
}

function sequencesOf({ events }: EventPage): number[] {
  return events.map(({ sequence }) => sequence);
}

/** Returns the facts about the place of a page in its log. */
function placeOf({ position, hasMore, gap, start, end }: EventPage) {
  equal(start.epoch, position.epoch);
  return { start: start.sequence, end: position.sequence, hasMore, gap, run: end };
}

/** Place of a page without a gap in a run that goes on. */
const place = (start: number, end: number, hasMore = false) => {
  return { start, end, hasMore, gap: null, run: null };
};

async function appendLarge({ log }: TestLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await log.append("p_a", [textEvent("x".repeat(60_000))]);
}

Deno.test("readEventPage() returns the events after a position, up to a limit", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  const first = await pageOf(test, 1, { limit: 2 });
  deepEqual([sequencesOf(first), placeOf(first)], [[2, 3], place(1, 3, true)]);
  const next = await pageOf(test, first.position, { limit: 2 });
  deepEqual([sequencesOf(next), placeOf(next)], [[4, 5], place(3, 5)]);
  const last = await pageOf(test, next.position, { limit: 2 });
  deepEqual([sequencesOf(last), placeOf(last)], [[], place(5, 5)]);
});

Deno.test("readEventPage() begins with the oldest event without a position", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  await trimBelow(test.kv, "p_a", 3);
  const page = await pageOf(test, null, { limit: 2 });
  deepEqual([sequencesOf(page), placeOf(page)], [[3, 4], place(2, 4, true)]);
});

Deno.test("readEventPage() returns the position of a pipeline without a log, and writes nothing", async () => {
  await using test = await createTestLog();
  for (const after of [null, 0]) deepEqual(placeOf(await pageOf(test, after)), place(0, 0));
  const { position } = await pageOf(test, null);
  equal(test.kv.commits, 0);
  await appendTexts(test, 2);
  deepEqual(sequencesOf(await pageOf(test, position)), [1, 2]);
});

Deno.test("readEventPage() ends before the limit at 256 KiB", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 9);
  deepEqual(sequencesOf(await pageOf(test, 0)), [1, 2, 3, 4]);
  deepEqual(sequencesOf(await pageOf(test, 4)), [5, 6, 7, 8]);
  const last = await pageOf(test, 8);
  deepEqual([sequencesOf(last), placeOf(last)], [[9], place(8, 9)]);
  // Small payloads, and channels that take much more in JSON.
  const channel = '"'.repeat(128);
  const events = Array.from({ length: 1000 }, () => textEvent("1", channel));
  const { first } = await test.log.append("p_a", events);
  const page = await pageOf(test, first - 1);
  ok(page.events.length > 400 && page.events.length < 600, `${page.events.length}`);
  equal(page.hasMore, true);
});

Deno.test("readEventPage() filters, and is ahead of its last event at the end", async () => {
  await using test = await createTestLog();
  for (const channel of "abaabb") await test.log.append("p_a", [textEvent("1", channel)]);
  const filter = new ChannelFilter(["a"]);
  const first = await pageOf(test, 0, { filter, limit: 2 });
  deepEqual([sequencesOf(first), placeOf(first)], [[1, 3], place(0, 3, true)]);
  const next = await pageOf(test, first.position, { filter, limit: 2 });
  deepEqual([sequencesOf(next), placeOf(next)], [[4], place(3, 6)]);
});

Deno.test("readEventPage() passes over a megabyte at most, and tells that more may follow", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [textEvent("1", "rare")]);
  await appendLarge(test, 30);
  const filter = new ChannelFilter(["rare"]);
  const { next } = test.kv.calls;
  const first = await pageOf(test, 1, { filter });
  deepEqual([sequencesOf(first), placeOf(first)], [[], place(1, 17, true)]);
  ok(test.kv.calls.next - next < 40, `${test.kv.calls.next - next}`);
  deepEqual(placeOf(await pageOf(test, first.position, { filter })), place(17, 31));
});

Deno.test("readEventPage() tells of events that were evicted, cleared or lost", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 9);
  await trimBelow(test.kv, "p_a", 4);
  const evicted = await pageOf(test, 1, { limit: 2 });
  deepEqual(sequencesOf(evicted), [4, 5]);
  const gap = { missed: 2, reason: "evicted" };
  deepEqual(placeOf(evicted), { ...place(3, 5, true), gap });
  await test.kv.atomic().delete(segmentKey("p_a", 7)).commit();
  // A page ends before the place, so that its gap is at its beginning.
  const before = await pageOf(test, 5);
  deepEqual([sequencesOf(before), placeOf(before)], [[6], place(5, 6, true)]);
  const damaged = await pageOf(test, before.position);
  deepEqual(sequencesOf(damaged), [8, 9]);
  deepEqual(placeOf(damaged), { ...place(7, 9), gap: { missed: 1, reason: "damaged" } });
  await test.log.clear("p_a");
  const cleared = { missed: 7, reason: "cleared" };
  deepEqual(placeOf(await pageOf(test, 2)), { ...place(9, 9), gap: cleared });
  // Nothing is missing of what is kept.
  deepEqual(placeOf(await pageOf(test, null)), place(9, 9));
});

Deno.test("readEventPage() tells of events that the store lost, to a client without a position, too", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  await trimBelow(test.kv, "p_a", 2);
  await test.kv.atomic().delete(segmentKey("p_a", 2)).commit();
  const page = await pageOf(test, null);
  deepEqual(placeOf(page), { ...place(2, 5), gap: { missed: 1, reason: "damaged" } });
});

Deno.test("readEventPage() begins anew after a position that is not of the log", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const gap = { missed: null, reason: "unknown" };
  for (const after of [4, { epoch: OTHER, sequence: 0 }, { epoch: OTHER, sequence: 2 }]) {
    const page = await pageOf(test, after);
    deepEqual([sequencesOf(page), placeOf(page)], [[1, 2, 3], { ...place(0, 3), gap }]);
  }
  const { position } = await pageOf(test, 3);
  await test.log.delete("p_a");
  const deleted = await pageOf(test, position);
  deepEqual([sequencesOf(deleted), placeOf(deleted)], [[], { ...place(3, 3), gap }]);
  // The counter of a deleted pipeline goes on, in another log.
  await test.advanceUntil(test.log.append("p_a", [textEvent("4")]));
  deepEqual(sequencesOf(await pageOf(test, deleted.position)), [4]);
  // Those before are of the other log: this one never had them.
  const first = { ...deleted.position, sequence: 0 };
  const next = await pageOf(test, first);
  deepEqual([sequencesOf(next), placeOf(next)], [[4], place(3, 4)]);
});

Deno.test("readEventPage() tells the end of a run with its last page, and ends before it", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [textEvent("1"), textEvent("2")], { end: true });
  const run = { sequence: 3, events: 2 };
  const first = await pageOf(test, 0, { limit: 1 });
  deepEqual([sequencesOf(first), placeOf(first)], [[1], place(0, 1, true)]);
  const last = await pageOf(test, 1, { limit: 1 });
  deepEqual([sequencesOf(last), placeOf(last)], [[2], { ...place(1, 2), run }]);
  deepEqual(placeOf(await pageOf(test, 2)), { ...place(2, 2), run });
  // The client has the end.
  deepEqual(placeOf(await pageOf(test, 3)), { ...place(3, 3), run });
  await test.log.clear("p_a");
  const gap = { missed: 2, reason: "cleared" };
  deepEqual(placeOf(await pageOf(test, 0)), { ...place(2, 2), gap, run });
  deepEqual(placeOf(await pageOf(test, 2)), { ...place(2, 2), run });
});

for (
  const [change, make, expected] of [
    ["is deleted", (log: TestLog["log"]) => log.delete("p_a"), {
      events: [],
      gap: { missed: null, reason: "unknown" },
    }],
    ["ends and is cleared", async (log: TestLog["log"]) => {
      await log.append("p_a", [textEvent("4")], { end: true });
      await log.clear("p_a");
    }, { events: [], gap: { missed: 3, reason: "cleared" } }],
    ["grows", (log: TestLog["log"]) => log.append("p_a", [textEvent("4")]), {
      events: [2, 3],
      gap: null,
    }],
  ] as const
) {
  Deno.test(`readEventPage() returns what is right if the log ${change} while it is read`, async () => {
    await using test = await createTestLog();
    await appendTexts(test, 3);
    const { epoch } = (await test.log.head("p_a"))!;
    const held = pause("answer");
    test.kv.script("get", held.fault);
    const reading = readEventPage("p_a", {
      log: test.log,
      reads: new Semaphore(1),
      filter: new ChannelFilter([]),
      after: { epoch, sequence: 1 },
      limit: 1000,
    });
    await held.reached;
    await make(test.log);
    held.release();
    const page = await reading;
    deepEqual({ events: sequencesOf(page), gap: page.gap }, expected);
    // Whoever goes on there gets the rest, and the end.
    const next = await pageOf(test, page.position);
    deepEqual(next.gap, null);
    deepEqual(sequencesOf(next), change === "grows" ? [4] : []);
    equal(next.end !== null, change === "ends and is cleared");
  });
}

Deno.test("readEventPage() rejects if the log is replaced again and again", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const { log } = test;
  let reads = 0;
  const head = { ...(await log.head("p_a"))!, epoch: OTHER };
  const replaced = {
    head: () => Promise.resolve(head),
    ensureHead: log.ensureHead.bind(log),
    readAfter(...read: Parameters<typeof log.readAfter>) {
      reads++;
      return log.readAfter(...read);
    },
  };
  await rejects(pageOf(test, null, { log: replaced }), { type: "log-unavailable" });
  equal(reads, 4);
});

const CHANNELS = ["a", "b", "c"];

for (const seed of seeds(10)) {
  Deno.test(`readEventPage() has no seam between pages while the log changes (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const retention = { events: random.pick([1, 40, 1000]), ms: 0 };
    await using test = await createTestLog({ random: random.next, retention });
    const { log } = test;
    /** Channels of all events of the log that is there now, by sequence. */
    let all = new Map<number, string>();
    let last = 0;
    /** Sequence of the newest event that was deleted. */
    let deleted = 0;
    /** Sequence of the entry of the end. */
    let ended = null as number | null;

    const change = async () => {
      const kind = random.integer(0, 9);
      const head = await log.head("p_a");
      if (kind === 0 && head) await log.clear("p_a");
      else if (kind === 1 && head && random.chance(0.3)) {
        await log.delete("p_a");
        deleted = last;
        all = new Map();
        ended = null;
      } else if (ended === null) {
        const count = random.pick([1, 1, 2, 5, 300]);
        const events = numbers(1, count).map(() => {
          const size = random.pick([1, 1, 10, count > 5 ? 1 : 50_000]);
          return textEvent("1".repeat(size), random.pick(CHANNELS));
        });
        const end = random.chance(0.03);
        const { first } = await test.advanceUntil(log.append("p_a", events, { end }));
        events.forEach(({ channel }, index) => all.set(first + index, channel));
        last = first + count - 1;
        if (end) ended = ++last;
      }
    };

    let position = null as Position | null;
    const channels = random.chance(0.5) ? [] : random.shuffled(CHANNELS).slice(0, 2);
    const filter = new ChannelFilter(channels);
    for (let step = 0; step < 60; step++) {
      if (random.chance(0.5)) await change();
      const head = await log.ensureHead("p_a");
      // Some clients come back from long ago, or from another log.
      if (random.chance(0.1)) position = { epoch: head.epoch, sequence: random.integer(0, last) };
      if (random.chance(0.03)) position = { epoch: OTHER, sequence: 1 };
      const limit = random.pick([1, 3, 100, 1000]);
      const page: EventPage = await pageOf(test, position, { filter, limit });
      const message = `step ${step}: ${position && formatEventId(position)}`;
      const { sequence: start } = page.start;
      const { sequence: end } = page.position;
      // What is between its two places is in it, and nothing else.
      const kept = numbers(start + 1, end)
        .filter((sequence) => filter.keeps(all.get(sequence) ?? "runnel.end"));
      deepEqual(sequencesOf(page), kept, message);
      ok(page.events.length <= limit, message);
      const newest = ended === null ? head.sequence : ended - 1;
      equal(page.hasMore, end < newest, message);
      ok(!page.hasMore || end > start, message);
      deepEqual(page.end !== null, ended !== null && !page.hasMore, message);
      // What is before its beginning is told, or was never the client's.
      const isKnown = position?.epoch === head.epoch && position.sequence <= head.sequence;
      if (isKnown) {
        // This log never had those that were deleted with another one.
        const missed = Math.max(0, start - Math.max(position!.sequence, deleted));
        equal(page.gap?.missed ?? 0, missed, message);
        if (start > position!.sequence) equal(start, Math.min(head.oldest - 1, newest), message);
      } else {
        deepEqual(page.gap, position && { missed: null, reason: "unknown" }, message);
        equal(start, Math.min(head.oldest - 1, newest), message);
      }
      position = page.position;
    }
  });
}
