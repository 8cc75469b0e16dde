import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { Histories, type HistoriesOptions } from "../../lib/hub/histories.ts";
import { HistoryStarts } from "../../lib/hub/history_starts.ts";
import type { HistoryPage } from "../../lib/log/history.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { numbers } from "../support/events.ts";
import { pause } from "../support/fakes/kv.ts";
import { readPages } from "../support/history.ts";
import { createTestLog, type TestLog, textEvent } from "../support/log.ts";
import { flush } from "../support/wait.ts";

const TYPE = (type: string) => ({ name: "RunnelError", type });

function historiesOf({ log }: TestLog, options: Partial<HistoriesOptions> = {}): Histories {
  const limits = { history: 100, maxHistories: 4, maxAddressHistories: 2 };
  return new Histories({ log, ...limits, ...options }, new HistoryStarts(log));
}

/** Appends events of 60 KB, so that a history of them has several pages. */
async function appendLarge({ log }: TestLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await log.append("p_a", [textEvent("x".repeat(60_000))]);
}

/** Begins to read a history and returns what ends it. */
async function begin(
  histories: Histories,
  address: string | null,
): Promise<AsyncGenerator<HistoryPage, void>> {
  const pages = histories.read("p_a", { address });
  await pages.next();
  return pages;
}

Deno.test("Histories.read() returns the configured number of events at most", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", numbers(1, 9).map((i) => textEvent(`${i}`)));
  const histories = historiesOf(test, { history: 5 });
  for (const [history, first] of [[undefined, 5], [9, 5], [2, 8], [0, 10]] as const) {
    const pages = await readPages(histories.read("p_a", {
      history: history === undefined ? undefined : rangeOfNewest(history),
    }));
    deepEqual(pages[0]!.events.map(({ sequence }) => sequence), numbers(first, 9));
  }
  equal(histories.inUse, 0);
});

Deno.test("Histories.read() refuses one too many in total, until one has ended", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 6);
  const histories = historiesOf(test);
  const open = [];
  for (const address of ["a", "b", "c", null]) open.push(await begin(histories, address));
  await rejects(begin(histories, "d"), TYPE("overloaded"));
  equal(histories.inUse, 4);
  await open[0]!.return();
  open.push(await begin(histories, "d"));
  for (const pages of open) await pages.return();
  equal(histories.inUse, 0);
});

Deno.test("Histories.read() refuses one too many of an address, not of others", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 6);
  const histories = historiesOf(test);
  const open = [await begin(histories, "a"), await begin(histories, "a")];
  await rejects(begin(histories, "a"), TYPE("too-many-requests"));
  open.push(await begin(histories, "b"), await begin(histories, null));
  for (const pages of open) await pages.return();
  equal(histories.inUse, 0);
});

Deno.test("Histories.read() counts a history until its connection closes", async () => {
  await using test = await createTestLog();
  const histories = historiesOf(test, { maxHistories: 1 });
  for (const how of ["resolve", "reject"] as const) {
    const closed = Promise.withResolvers<void>();
    const connectionClosed = closed.promise;
    await readPages(histories.read("p_a", { connectionClosed }));
    equal(histories.inUse, 1);
    await rejects(begin(histories, null), TYPE("overloaded"));
    closed[how]();
    await flush();
    equal(histories.inUse, 0);
  }
});

Deno.test("Histories.read() holds nothing when the log does not answer", async () => {
  await using test = await createTestLog();
  const histories = historiesOf(test);
  test.kv.script("get", () => Promise.reject(new Error("connection reset")));
  await rejects(begin(histories, "a"), TYPE("log-unavailable"));
  equal(histories.inUse, 0);
});

Deno.test("Histories.read() reads for other addresses while one has its maximum of readers", async () => {
  await using test = await createTestLog();
  await appendLarge(test, 6);
  const histories = historiesOf(test, { maxHistories: 256, maxAddressHistories: 16 });
  const unread = [];
  for (let i = 0; i < 16; i++) unread.push(await begin(histories, "a"));
  await rejects(begin(histories, "a"), TYPE("too-many-requests"));
  const pages = await readPages(histories.read("p_a", { address: "b" }));
  deepEqual(pages.flatMap(({ events }) => events).length, 6);
  for (const pages of unread) await pages.return();
});

Deno.test("Histories.read() reads four pages at once, and the others in their order", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [textEvent("1")]);
  const histories = historiesOf(test, { maxHistories: 256, maxAddressHistories: 16 });
  const held = Array.from({ length: 4 }, () => pause("call"));
  test.kv.script("next", ...held.map(({ fault }) => fault));
  const order: string[] = [];
  const reading = [];
  for (const address of [..."aaaaaab"]) {
    const pages = readPages(histories.read("p_a", { address }));
    reading.push(pages.then(() => order.push(address)));
    await flush();
  }
  equal(test.kv.calls.next, 4);
  for (const { release } of held) release();
  await Promise.all(reading);
  deepEqual(order.length, 7);
});
