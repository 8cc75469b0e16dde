import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { Semaphore } from "../../lib/base/semaphore.ts";
import { type HistoryOptions, type HistoryPage, readHistory } from "../../lib/log/history.ts";
import { segmentKey } from "../../lib/log/keys.ts";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { numbers } from "../support/events.ts";
import { passThrough, pause } from "../support/fakes/kv.ts";
import { readPages } from "../support/history.ts";
import { appendTexts, createTestLog, type TestLog, textEvent, trimBelow } from "../support/log.ts";
import { endWork } from "../support/wait.ts";

const CHANGED = { name: "RunnelError", type: "log-unavailable", message: /changed meanwhile/ };

/** The newest events of the pipeline of a test, up to a number. */
function historyOf(
  { log }: Pick<TestLog, "log">,
  count: number,
  options: Partial<HistoryOptions> = {},
): AsyncGenerator<HistoryPage, void> {
  return readHistory("p_a", {
    log,
    reads: new Semaphore(1),
    filter: new ChannelFilter([]),
    findStart: ({ sequence }) => Math.max(0, sequence - count),
    ...options,
  });
}

function sequencesOf(pages: readonly HistoryPage[]): number[] {
  return pages.flatMap(({ events }) => events.map(({ sequence }) => sequence));
}

/** Appends events of 60 KB, each in its own segment. */
async function appendLarge({ log }: TestLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await log.append("p_a", [textEvent("x".repeat(60_000))]);
}

Deno.test("readHistory() returns as many events as requested, though more come meanwhile", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  const held = pause("call");
  test.kv.script("get", passThrough, held.fault);
  const reading = readPages(historyOf(test, 3));
  await held.reached;
  await test.log.append("p_a", [textEvent("6")]);
  held.release();
  deepEqual(sequencesOf(await reading), [3, 4, 5]);
});

Deno.test("readHistory() reads page after page, and all events if more are requested", async () => {
  await using test = await createTestLog();
  for (const size of [700, 700]) {
    await test.log.append("p_a", Array.from({ length: size }, () => textEvent("1")));
  }
  const pages = await readPages(historyOf(test, 2000));
  deepEqual(sequencesOf(pages), numbers(1, 1400));
  const { epoch } = (await test.log.head("p_a"))!;
  deepEqual(pages.map(({ position }) => position), pages.map(() => ({ epoch, sequence: 1400 })));
});

Deno.test("readHistory() returns pages of at most 256 KiB", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 10);
  const pages = await readPages(historyOf(test, 10));
  deepEqual(sequencesOf(pages), numbers(1, 10));
  deepEqual(pages.map(({ events }) => events.length), [4, 4, 2]);
});

Deno.test("readHistory() does not read a page before it is asked for", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 10);
  const pages = historyOf(test, 10);
  await pages.next();
  const { next } = test.kv.calls;
  await endWork();
  equal(test.kv.calls.next, next);
  await pages.return();
  equal(test.kv.calls.next, next);
});

Deno.test("readHistory() returns the events that a filter keeps, and no page without one but the last", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [textEvent("1", "rare")]);
  await appendLarge(test, 10);
  const filter = new ChannelFilter(["rare"]);
  const pages = await readPages(historyOf(test, 100, { filter }));
  deepEqual(pages.map(({ events }) => events.length), [1, 0]);
  deepEqual(sequencesOf(pages), [1]);
});

Deno.test("readHistory() returns the position of a pipeline without a log, and writes nothing", async () => {
  await using test = await createTestLog();
  const pages = await readPages(historyOf(test, 3));
  equal(test.kv.commits, 0);
  const { epoch, first } = await test.log.append("p_a", [textEvent("1")]);
  deepEqual(pages, [{ position: { epoch, sequence: first - 1 }, events: [], isLast: true }]);
});

Deno.test("readHistory() reads only the head of a log without events", async () => {
  await using test = await createTestLog();
  await readPages(historyOf(test, 3));
  deepEqual(test.kv.calls.next, 0);
});

Deno.test("readHistory() returns a position before the end of a run, with the end", async () => {
  await using test = await createTestLog();
  const { epoch } = await test.log.append("p_a", [textEvent("1"), textEvent("2")], { end: true });
  const expected = { position: { epoch, sequence: 2 }, isLast: true };
  const end = { sequence: 3, events: 2 };
  for (const count of [3, 2, 0]) {
    const [{ events, ...rest }] = await readPages(historyOf(test, count)) as [HistoryPage];
    deepEqual(rest, { ...expected, end });
    equal(events.length, Math.max(0, count - 1));
  }
  await test.log.clear("p_a");
  deepEqual(await readPages(historyOf(test, 3)), [{ ...expected, events: [], end }]);
});

Deno.test("readHistory() returns no events of another log that took the place of the first", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const { log } = test;
  const head = { ...(await log.head("p_a"))!, epoch: "AAECAwQFBgc" };
  const replaced = {
    head: () => Promise.resolve(head),
    ensureHead: log.ensureHead.bind(log),
    readAfter: log.readAfter.bind(log),
  };
  await rejects(readPages(historyOf(test, 3, { log: replaced })), CHANGED);
});

Deno.test("readHistory() fails if an older copy of the log took its place", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const { log } = test;
  const head = { ...(await log.head("p_a"))!, sequence: 5 };
  const restored = {
    head: () => Promise.resolve(head),
    ensureHead: log.ensureHead.bind(log),
    readAfter: log.readAfter.bind(log),
  };
  await rejects(readPages(historyOf(test, 3, { log: restored })), CHANGED);
});

Deno.test("readHistory() begins with the oldest event that is retained", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  await trimBelow(test.kv, "p_a", 4);
  deepEqual(sequencesOf(await readPages(historyOf(test, 5))), [4, 5]);
});

for (const how of ["trimmed", "cleared"] as const) {
  Deno.test(`readHistory() fails if the log is ${how} between two pages`, async () => {
    await using test = await createTestLog();
    await appendLarge(test, 10);
    const pages = historyOf(test, 10);
    equal((await pages.next()).value!.events.length, 4);
    if (how === "trimmed") await trimBelow(test.kv, "p_a", 7);
    else await test.log.clear("p_a");
    await rejects(pages.next(), CHANGED);
  });
}

Deno.test("readHistory() goes on if what was read already is trimmed", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 10);
  const pages = historyOf(test, 10);
  await pages.next();
  await trimBelow(test.kv, "p_a", 5);
  deepEqual(sequencesOf(await readPages(pages)), numbers(5, 10));
});

Deno.test("readHistory() passes over events that the log has lost", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 10);
  await test.kv.atomic().delete(segmentKey("p_a", 6)).commit();
  deepEqual(sequencesOf(await readPages(historyOf(test, 10))), [1, 2, 3, 4, 5, 7, 8, 9, 10]);
  ok(test.reports.every((report) => report.startsWith("The log of a pipeline lacks events: ")));
});

Deno.test("readHistory() reads no more pages at once than the semaphore permits", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 1);
  const reads = new Semaphore(1, 0);
  const held = pause("call");
  test.kv.script("get", passThrough, held.fault);
  const first = readPages(historyOf(test, 1, { reads }));
  await held.reached;
  await rejects(readPages(historyOf(test, 1, { reads })), { type: "overloaded" });
  held.release();
  deepEqual(sequencesOf(await first), [1]);
});

Deno.test("readHistory() holds no permit while a page is sent", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 10);
  const reads = new Semaphore(1, 0);
  const unread = historyOf(test, 10, { reads });
  await unread.next();
  deepEqual(sequencesOf(await readPages(historyOf(test, 10, { reads }))), numbers(1, 10));
  await unread.return();
});
