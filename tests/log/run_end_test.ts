import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { endOf } from "../../lib/log/head.ts";
import { rebuildHead } from "../../lib/log/head_repair.ts";
import { headKey } from "../../lib/log/keys.ts";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { commitThenFail, fail } from "../support/fakes/kv.ts";
import { createTestLog, memoryStore, readTexts, textEvent, TIMEOUT_MS } from "../support/log.ts";
import { flush } from "../support/wait.ts";

const RUN_ENDED = { type: "run-ended" };

Deno.test("append() ends a run by an entry with a sequence of its own, in the same commit", async () => {
  await using test = await createTestLog();
  const { log, kv } = test;
  const { epoch } = await log.append("p_a", [textEvent("1")]);
  const commits = kv.commits;
  const receipt = await log.append("p_a", [textEvent("2"), textEvent("3")], { end: true });
  equal(kv.commits, commits + 1);
  deepEqual(receipt, { epoch, first: 2, count: 2, replayed: false, end: 4 });
  const head = (await log.head("p_a"))!;
  equal(head.sequence, 4);
  deepEqual(endOf(head), { sequence: 4, events: 3 });
  const { events } = (await log.readAfter("p_a", 0, 1e6))!;
  deepEqual(
    events.map(({ sequence, channel }) => [sequence, channel]),
    [[1, "events"], [2, "events"], [3, "events"], [4, "runnel.end"]],
  );
  equal(new TextDecoder().decode(events[3]!.payload), '{"events":3}');
});

Deno.test("append() ends a run without events, and once more without a change", async () => {
  await using test = await createTestLog();
  const { log, kv } = test;
  const first = await log.append("p_a", [], { end: true });
  deepEqual([first.first, first.count, first.end], [1, 0, 1]);
  const commits = kv.commits;
  deepEqual(await log.append("p_a", [], { end: true }), first);
  equal(kv.commits, commits);
  deepEqual(endOf((await log.head("p_a"))!), { sequence: 1, events: 0 });
});

Deno.test("append() refuses events after the end, also with an end of their own", async () => {
  await using test = await createTestLog();
  const { log } = test;
  await log.append("p_a", [textEvent("1")], { end: true });
  await rejects(log.append("p_a", [textEvent("2")]), RUN_ENDED);
  await rejects(log.append("p_a", [textEvent("2")], { end: true, key: "new" }), RUN_ENDED);
  await log.append("p_b", [textEvent("other pipeline")]);
  equal((await log.head("p_a"))!.sequence, 2);
});

Deno.test("append() refuses each request behind an end that waits with it, and keeps those before", async () => {
  await using test = await createTestLog();
  const { log } = test;
  // The first is in flight alone; the others wait together.
  const first = log.append("p_a", [textEvent("1")]);
  await flush();
  const answers = await Promise.allSettled([
    first,
    log.append("p_a", [textEvent("2")]),
    log.append("p_a", [textEvent("3")], { end: true }),
    log.append("p_a", [textEvent("4")]),
    log.append("p_a", [], { end: true }),
    log.append("p_a", [textEvent("5")], { key: "k" }),
  ]);
  deepEqual(
    answers.map((answer) =>
      answer.status === "fulfilled" ? answer.value.end ?? answer.value.first : answer.reason.type
    ),
    [1, 2, 4, "run-ended", 4, "run-ended"],
  );
  deepEqual(await readTexts(log, "p_a"), ["1", "2", "3", '{"events":3}']);
});

Deno.test("append() answers a repeated key before it refuses what follows the end", async () => {
  await using test = await createTestLog();
  const { log } = test;
  const plain = await log.append("p_a", [textEvent("1")], { key: "a" });
  const ending = await log.append("p_a", [textEvent("2")], { key: "b", end: true });
  deepEqual(await log.append("p_a", [textEvent("1")], { key: "a" }), { ...plain, replayed: true });
  deepEqual(await log.append("p_a", [textEvent("2")], { key: "b", end: true }), {
    ...ending,
    replayed: true,
  });
  // Other content: the end is a part of it.
  await rejects(log.append("p_a", [textEvent("2")], { key: "b" }), { type: "key-reused" });
});

Deno.test("append() settles the unknown outcome of an end like that of any commit", async () => {
  await using test = await createTestLog();
  const { log, kv, advanceUntil } = test;
  await log.append("p_a", [textEvent("1")]);
  kv.script("commit", commitThenFail());
  const receipt = await advanceUntil(log.append("p_a", [textEvent("2")], { end: true }));
  equal(receipt.end, 3);
  await rejects(log.append("p_a", [textEvent("3")]), RUN_ENDED);
});

Deno.test("append() does not end a run whose commit failed", async () => {
  await using test = await createTestLog();
  const { log, kv, advanceUntil } = test;
  await log.append("p_a", [textEvent("1")]);
  const before = kv.fallback;
  kv.fallback = () => fail();
  await rejects(advanceUntil(log.append("p_a", [textEvent("2")], { end: true })));
  kv.fallback = before;
  equal((await advanceUntil(log.append("p_a", [textEvent("2")]))).end, undefined);
});

Deno.test("The end outlives a clear, and a deletion begins anew", async () => {
  await using test = await createTestLog();
  const { log } = test;
  await log.append("p_a", [textEvent("1")], { end: true, key: "k" });
  await log.clear("p_a");
  deepEqual(endOf((await log.head("p_a"))!), { sequence: 2, events: 1 });
  await rejects(log.append("p_a", [textEvent("2")]), RUN_ENDED);
  await log.delete("p_a");
  await log.append("p_a", [textEvent("2")]);
  const { end } = await log.append("p_a", [textEvent("3")], { end: true, key: "k" });
  equal(end, 5);
  deepEqual(endOf((await log.head("p_a"))!), { sequence: 5, events: 2 });
});

Deno.test("append() reads the head again before it refuses: another process may have deleted the pipeline", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  const { log } = test;
  await log.append("p_a", [textEvent("1")], { end: true });
  await using other = await createTestLog(store);
  await other.log.delete("p_a");
  equal((await log.append("p_a", [textEvent("2")])).count, 1);
});

Deno.test("A rebuilt head ends the run if its last entry does", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  const { log, kv, clock } = test;
  await log.append("p_a", [textEvent("1")], { end: true });
  await log.append("p_b", [textEvent("1")]);
  const connection = await KvConnection.open({
    open: store.open,
    runtime: { clock, report() {} },
    timeoutMs: TIMEOUT_MS,
    remote: false,
  });
  for (const pipeline of ["p_a", "p_b"]) {
    await kv.inner.atomic().delete(headKey(pipeline)).commit();
    await rebuildHead(connection, pipeline, clock.now());
  }
  deepEqual(endOf((await log.head("p_a"))!), { sequence: 2, events: 1 });
  equal(endOf((await log.head("p_b"))!), null);
});
