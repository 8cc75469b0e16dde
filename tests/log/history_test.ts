import { deepStrictEqual as deepEqual, rejects } from "node:assert/strict";
import { Semaphore } from "../../lib/base/semaphore.ts";
import { readHistory } from "../../lib/log/history.ts";
import { passThrough, pause } from "../support/fakes/kv.ts";
import { appendTexts, createTestLog, textEvent } from "../support/log.ts";

Deno.test("readHistory() returns as many events as requested, though more come meanwhile", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 5);
  const held = pause("call");
  test.kv.script("get", passThrough, held.fault);
  const reading = readHistory(test.log, new Semaphore(1), "p_a", 3);
  await held.reached;
  await test.log.append("p_a", [textEvent("6")]);
  held.release();
  deepEqual((await reading).events.map(({ sequence }) => sequence), [3, 4, 5]);
});

Deno.test("readHistory() reads page after page, and all events if more are requested", async () => {
  await using test = await createTestLog();
  for (const size of [700, 700]) {
    await test.log.append("p_a", Array.from({ length: size }, () => textEvent("1")));
  }
  const { epoch, events } = await readHistory(test.log, new Semaphore(1), "p_a", 2000);
  deepEqual(events.map(({ sequence }) => sequence), Array.from({ length: 1400 }, (_, i) => i + 1));
  deepEqual(epoch, (await test.log.head("p_a"))!.epoch);
});

Deno.test("readHistory() returns no events and no epoch of a pipeline without a log", async () => {
  await using test = await createTestLog();
  const history = await readHistory(test.log, new Semaphore(1), "p_a", 3);
  deepEqual(history, { epoch: "", events: [] });
});

Deno.test("readHistory() reads only the head of a log without events", async () => {
  await using test = await createTestLog();
  const { epoch } = await test.log.ensureHead("p_a");
  const history = await readHistory(test.log, new Semaphore(1), "p_a", 3);
  deepEqual(history, { epoch, events: [] });
  deepEqual(test.kv.calls.next, 0);
});

Deno.test("readHistory() returns no events of another log that took the place of the first", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 3);
  const { log } = test;
  const head = { ...(await log.head("p_a"))!, epoch: "AAECAwQFBgc" };
  const replaced = {
    head: () => Promise.resolve(head),
    readAfter: log.readAfter.bind(log),
  };
  const history = await readHistory(replaced, new Semaphore(1), "p_a", 3);
  deepEqual(history, { epoch: "AAECAwQFBgc", events: [] });
});

Deno.test("readHistory() reads no more histories at once than the semaphore permits", async () => {
  await using test = await createTestLog();
  await appendTexts(test, 1);
  const semaphore = new Semaphore(1, 0);
  const held = pause("call");
  test.kv.script("get", held.fault);
  const first = readHistory(test.log, semaphore, "p_a", 1);
  await held.reached;
  await rejects(readHistory(test.log, semaphore, "p_a", 1), { type: "overloaded" });
  held.release();
  deepEqual((await first).events.length, 1);
});
