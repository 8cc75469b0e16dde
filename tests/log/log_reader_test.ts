import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { passThrough, pause, runThenPassThrough } from "../support/fakes/kv.ts";
import { appendTexts, createTestLog, textEvent, TIMEOUT_MS, trimBelow } from "../support/log.ts";
import { flush } from "../support/wait.ts";

Deno.test("LogReader.readAfter() ends a page at the gap of a trim between two reads", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 150);
  // The first 64 were read already; the next page of the list starts with 101.
  const trims = runThenPassThrough(() => trimBelow(test.kv.inner, "p_a", 101));
  test.kv.script("next", ...Array(64).fill(passThrough), trims);
  const page = (await test.log.readAfter("p_a", 0, Infinity))!;
  deepEqual(
    page.events.map(({ sequence }) => sequence),
    Array.from({ length: 64 }, (_, i) => i + 1),
  );
  deepEqual([page.after, page.missed, page.sequence], [0, 0, 150]);
  const next = (await test.log.readAfter("p_a", 64, Infinity))!;
  deepEqual([next.after, next.missed, next.events.length], [100, 36, 50]);
});

Deno.test("LogReader.readAfter() reads the head again if a trim ran before the list", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 150);
  test.kv.script("next", runThenPassThrough(() => trimBelow(test.kv.inner, "p_a", 101)));
  const page = (await test.log.readAfter("p_a", 10, Infinity))!;
  deepEqual([page.after, page.missed, page.reason], [100, 90, "evicted"]);
  deepEqual([page.events[0]!.sequence, page.events.length], [101, 50]);
  deepEqual(test.reports, []);
});

Deno.test("LogReader.readAfter() reports and skips a gap that no trim explains", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  await test.kv.inner.atomic().delete(["log", "p_a", 2]).delete(["log", "p_a", 3]).commit();
  const page = (await test.log.readAfter("p_a", 1, Infinity))!;
  deepEqual([page.after, page.missed, page.events.length], [3, 2, 2]);
  deepEqual(test.reports, [
    "The log of a pipeline lacks events: it is damaged, or a later version wrote it",
  ]);
});

Deno.test("LogReader.readAfter() returns events appended since it read the head", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 2);
  test.kv.script("next", runThenPassThrough(() => test.log.append("p_a", [textEvent("3")])));
  const page = (await test.log.readAfter("p_a", 2, Infinity))!;
  deepEqual([page.sequence, page.after, page.events.length], [3, 2, 1]);
});

Deno.test("LogReader.readAfter() returns at most 1,000 events, however small", async () => {
  await using test = await createTestLog();
  for (let i = 0; i < 3; i++) {
    await test.log.append("p_a", Array.from({ length: 700 }, () => textEvent("1")));
  }
  const page = await test.log.readAfter("p_a", 5, Infinity);
  deepEqual([page!.after, page!.events.length, page!.events.at(-1)!.sequence], [5, 1000, 1005]);
});

Deno.test("LogReader.readAfter() stops to read the list after its deadline", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  const held = pause("call");
  test.kv.script("next", held.fault);
  const refused = rejects(test.log.readAfter("p_a", 0, Infinity), { type: "log-unavailable" });
  await held.reached;
  test.clock.advance(TIMEOUT_MS + 1);
  await refused;
  held.release();
  await held.done;
  await flush();
  equal(test.kv.calls.next, 1);
});

Deno.test("LogReader.readAfter() returns no events after a sequence beyond the log", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 2);
  const { epoch, ...page } = (await test.log.readAfter("p_a", 10, Infinity))!;
  equal(epoch, (await test.log.head("p_a"))!.epoch);
  deepEqual(page, { sequence: 2, after: 10, missed: 0, reason: "evicted", events: [] });
});
