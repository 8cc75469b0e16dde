import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { KEY_LIFETIME_MS } from "../../lib/log/idempotency.ts";
import { commitThenFail } from "../support/fakes/kv.ts";
import { createTestLog, memoryStore, readTexts, type TestLog, textEvent } from "../support/log.ts";

const SUPERSEDED = { type: "append-superseded" };

/** Appends a part that consists of one event for each text. */
function append(
  { log, advanceUntil }: TestLog,
  texts: readonly string[],
  { owner = "a", before = 0, isFirst = false, key = "k", end = false } = {},
) {
  const part = { owner, before, isFirst };
  return advanceUntil(log.append("p_a", texts.map((text) => textEvent(text)), { key, part, end }));
}

Deno.test("append() counts the parts of a streaming append under its key", async () => {
  await using test = await createTestLog();
  const { log } = test;
  equal(await log.readAppend("p_a", "k"), null);
  const { epoch } = await append(test, ["1", "2"]);
  await log.append("p_a", [textEvent("of another")]);
  await append(test, ["3"], { before: 2 });
  deepEqual(await log.readAppend("p_a", "k"), { count: 3, last: { epoch, sequence: 4 } });
  await append(test, ["4"], { before: 3, end: true });
  deepEqual(await log.readAppend("p_a", "k"), { count: 4, last: { epoch, sequence: 5 }, end: 6 });
  equal(await log.readAppend("p_a", "k", "another publisher"), null);
  equal(await log.readAppend("p_b", "k"), null);
});

Deno.test("append() tells a connection that takes an append over how much stands", async () => {
  await using test = await createTestLog();
  await append(test, ["1", "2"]);
  // It read the count before the second part was stored.
  const { stands, first, count } = await append(test, ["2", "3"], {
    owner: "b",
    before: 1,
    isFirst: true,
  });
  deepEqual([stands, first, count], [2, 2, 0]);
  equal((await append(test, ["3"], { owner: "b", before: 2, isFirst: true })).count, 1);
  deepEqual(await readTexts(test.log, "p_a"), ["1", "2", "3"]);
});

Deno.test("append() fences off a connection once another has gone on with its append", async () => {
  await using test = await createTestLog();
  await append(test, ["1"]);
  await append(test, ["2"], { owner: "b", before: 1, isFirst: true });
  await rejects(append(test, ["2"], { before: 1, isFirst: false }), SUPERSEDED);
  // Also where it would be next.
  await rejects(append(test, ["3"], { before: 2, isFirst: false }), SUPERSEDED);
  await append(test, ["3"], { owner: "b", before: 2, isFirst: false });
  deepEqual(await readTexts(test.log, "p_a"), ["1", "2", "3"]);
});

Deno.test("append() lets one of two connections store a part, of two logs of one store", async () => {
  await using store = await memoryStore();
  await using here = await createTestLog(store);
  await using there = await createTestLog(store);
  await append(here, ["1"]);
  const answers = await Promise.allSettled([
    append(here, ["2"], { before: 1, isFirst: false }),
    append(there, ["2"], { owner: "b", before: 1, isFirst: true }),
  ]);
  const stored = answers.filter((
    { status, value }: { status: string; value?: { count: number } },
  ) => status === "fulfilled" && value!.count === 1);
  equal(stored.length, 1);
  deepEqual(await readTexts(here.log, "p_a"), ["1", "2"]);
});

Deno.test("append() stores a part once whose outcome was unknown", async () => {
  await using test = await createTestLog();
  await append(test, ["1"]);
  test.kv.script("commit", commitThenFail());
  equal((await append(test, ["2"], { before: 1, isFirst: false })).count, 1);
  equal((await test.log.readAppend("p_a", "k"))!.count, 2);
  deepEqual(await readTexts(test.log, "p_a"), ["1", "2"]);
});

Deno.test("append() keeps the keys of appends and of other requests apart", async () => {
  await using test = await createTestLog();
  const { log } = test;
  await append(test, ["1"]);
  await rejects(log.append("p_a", [textEvent("1")], { key: "k" }), { type: "key-reused" });
  await log.append("p_a", [textEvent("2")], { key: "plain" });
  await rejects(append(test, ["2"], { key: "plain" }), { type: "key-reused" });
  await rejects(log.readAppend("p_a", "plain"), { type: "key-reused" });
});

Deno.test("append() counts the key of an append once, and again when it is renewed", async () => {
  await using test = await createTestLog({ maxKeys: 2 });
  const { log, clock } = test;
  for (let before = 0; before < 5; before++) await append(test, ["x"], { before });
  await append(test, ["x"], { key: "second" });
  await rejects(append(test, ["x"], { key: "third" }), { type: "too-many-requests" });
  // An append that is full goes on.
  await append(test, ["x"], { before: 5, isFirst: false });
  clock.advance(KEY_LIFETIME_MS * 0.75);
  await append(test, ["x"], { before: 6, isFirst: false });
  clock.advance(KEY_LIFETIME_MS / 2);
  equal((await log.readAppend("p_a", "k"))!.count, 7);
  equal(await log.readAppend("p_a", "second"), null);
});

Deno.test("append() goes on with an append whose pipeline was deleted", async () => {
  await using test = await createTestLog();
  const { log } = test;
  await append(test, ["1", "2"]);
  await log.delete("p_a");
  equal(await log.readAppend("p_a", "k"), null);
  const { epoch } = await append(test, ["3"], { before: 2, isFirst: false });
  deepEqual(await log.readAppend("p_a", "k"), { count: 3, last: { epoch, sequence: 3 } });
});

Deno.test("append() reads the record of an append before each part, and not the head again", async () => {
  await using test = await createTestLog();
  await append(test, ["1"]);
  const { get, getMany } = test.kv.calls;
  for (let before = 1; before <= 5; before++) await append(test, ["x"], { before });
  equal(test.kv.calls.get, get);
  equal(test.kv.calls.getMany, getMany + 5);
});

Deno.test("append() stores a part under the check of the head, though another log has deleted the pipeline", async () => {
  await using store = await memoryStore();
  await using here = await createTestLog(store);
  await using there = await createTestLog(store);
  await append(here, ["1", "2"]);
  await there.log.delete("p_a");
  const { epoch, first } = await append(here, ["3"], { before: 2 });
  equal(first, 3);
  deepEqual(await here.log.readAppend("p_a", "k"), { count: 3, last: { epoch, sequence: 3 } });
  equal((await here.log.head("p_a"))!.epoch, epoch);
});
