import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { fail, type Fault, passThrough } from "../support/fakes/kv.ts";
import { textEvent } from "../support/log.ts";
import { commitOf, createTestTail, replaceLog, settledWhen } from "../support/tail.ts";
import { flush } from "../support/wait.ts";

const REPAIR_PAUSE_MS = 1000;

Deno.test("Tail repeats a failed repair until one succeeds, without another signal", async () => {
  await using test = await createTestTail();
  const { tail, append, clock, kv } = test;
  await append();
  kv.script("get", fail(), fail(), fail());
  await rejects(tail.repair("announcement"), { type: "log-unavailable" });
  for (let i = 0; i < 3; i++) {
    equal(tail.events!.last, 1);
    clock.advance(REPAIR_PAUSE_MS);
    await flush();
  }
  equal(tail.events!.last, 2);
  equal(test.reports.length, 2, "the first failure was its caller's");
});

Deno.test("Tail.receive() reads nothing between a failed repair and its repetition", async () => {
  await using test = await createTestTail();
  const { tail, append, clock, kv } = test;
  await append(3);
  const { epoch } = tail.events!;
  kv.script("get", fail());
  tail.receive(commitOf(3, epoch));
  await flush();
  const { get } = kv.calls;
  tail.receive(commitOf(4, epoch));
  await flush();
  equal(kv.calls.get, get);
  clock.advance(REPAIR_PAUSE_MS);
  await settledWhen(() => tail.events!.last === 4);
  equal(kv.calls.get > get, true);
  equal(tail.events!.last, 4);
});

Deno.test("Tail starts no further repair after it was disposed during one", async () => {
  await using test = await createTestTail();
  const { tail, kv } = test;
  const { held, repair } = await test.beginRepair();
  // It misses what comes before.
  tail.receive(commitOf(9, tail.events!.epoch));
  tail[Symbol.dispose]();
  const { get } = kv.calls;
  held.release();
  await repair;
  await flush();
  equal(kv.calls.get, get);
});

Deno.test("Tail.repair() drops what arrived during it when it fails", async () => {
  await using test = await createTestTail();
  const { tail, clock, kv } = test;
  const { held, repair } = await test.beginRepair(true);
  tail.receive(commitOf(2, "AAAAAAAAAAA"));
  held.release();
  await rejects(repair, { type: "log-unavailable" });
  const { get } = kv.calls;
  clock.advance(REPAIR_PAUSE_MS);
  await flush();
  equal(kv.calls.get, get + 1, "one repetition is enough");
});

Deno.test("Tail keeps its limits, whether its events come by broadcasts or from the log", async () => {
  await using test = await createTestTail(1, 3, 0);
  const { tail, append, commits } = test;
  await append(4);
  for (const commit of commits.slice(-4)) tail.receive(commit);
  deepEqual([tail.events!.first, tail.events!.last], [3, 5]);
  await append(2);
  await tail.repair();
  deepEqual([tail.events!.first, tail.events!.last], [5, 7]);
});

Deno.test("Tail tells how much it grew, whether its events come by broadcasts or from the log", async () => {
  await using test = await createTestTail();
  const { tail, append, commits, growth } = test;
  deepEqual(growth, [tail.bytes]);
  await append();
  tail.receive(commits.at(-1)!);
  await append();
  await tail.repair();
  deepEqual(growth, Array(3).fill(tail.bytes / 3));
});

Deno.test("Tail.receive() drops a duplicate, and reads nothing", async () => {
  await using test = await createTestTail();
  const { tail, append, commits, kv } = test;
  await append();
  tail.receive(commits.at(-1)!);
  const { get } = kv.calls;
  for (const commit of [commits.at(-1)!, commits.at(-2)!]) tail.receive(commit);
  await flush();
  deepEqual([tail.events!.last, tail.repairs.gap, kv.calls.get], [2, 0, get]);
});

Deno.test("Tail.receive() reads the rest of a commit from the log when it has a part of it", async () => {
  await using test = await createTestTail();
  const { tail, log, advanceUntil, commits } = test;
  await advanceUntil(log.append("p_a", [textEvent("x"), textEvent("y")]));
  tail.receive(commitOf(2, tail.events!.epoch));
  equal(tail.events!.last, 2);
  tail.receive(commits.at(-1)!);
  await settledWhen(() => tail.events!.last === 3);
  equal(tail.events!.last, 3);
  const { bytes } = tail.events!.chunkAfter(2, 3, new ChannelFilter([]));
  equal(new TextDecoder().decode(bytes).match(/^data: (.*)$/m)![1], "y");
});

Deno.test("Tail.receive() reads the log again after a broadcast was lost during a repair", async () => {
  await using test = await createTestTail();
  const { tail, append, commits } = test;
  const { held, repair } = await test.beginRepair();
  await append(3);
  for (const commit of [commits.at(-1)!, commits.at(-3)!]) tail.receive(commit);
  held.release();
  await repair;
  await settledWhen(() => tail.events!.last === 4);
  equal(tail.events!.last, 4);
});

Deno.test("Tail.receive() reads the log again when broadcasts are lost during each of many repairs", async () => {
  await using test = await createTestTail();
  const { tail, append, log, commits, kv } = test;
  const READS = 20;
  let reads = 0;
  // After each list, two events are written, and the first broadcast is lost.
  const writeAfterList: Fault = async (carryOut) => {
    const result = await carryOut() as IteratorResult<unknown>;
    if (!result.done || reads++ >= READS) return result;
    for (let i = 0; i < 2; i++) await log.append("p_a", [textEvent("x")]);
    tail.receive(commits.at(-1)!);
    return result;
  };
  kv.fallback = (call) => call === "next" ? writeAfterList : passThrough;
  await append();
  await tail.repair();
  for (let i = 0; i < READS; i++) await settledWhen(() => tail.events!.last === 2 + 2 * READS);
  equal(tail.events!.last, 2 + 2 * READS);
});

Deno.test("Tail.receive() reads the log again for a commit of another epoch during a repair", async () => {
  await using test = await createTestTail();
  const { tail, kv } = test;
  const { held, repair } = await test.beginRepair();
  const before = tail.events!.epoch;
  // The log is replaced while it is read: one head is deleted, another one written.
  const { epoch } = await replaceLog(test);
  tail.receive(commitOf(1, epoch));
  const { get } = kv.calls;
  held.release();
  await repair;
  await flush();
  equal(kv.calls.get > get, true);
  equal(tail.events!.epoch === before, false);
  equal(tail.events!.epoch, epoch);
});

Deno.test("Tail.repair() is followed by another one when the log is replaced while it is read", async () => {
  await using test = await createTestTail();
  const { tail, append } = test;
  await append();
  const { held, repair } = await test.beginRepair();
  const { epoch } = await replaceLog(test);
  held.release();
  await repair;
  await settledWhen(() => tail.events!.epoch === epoch);
  deepEqual([tail.events!.epoch, tail.events!.last], [epoch, 1]);
});

Deno.test("Tail.repair() takes no part of a log that is deleted while it is read", async () => {
  await using test = await createTestTail();
  const { tail, log, advanceUntil } = test;
  await advanceUntil(log.append("p_a", [textEvent("y")], { end: true }));
  const { held, repair } = await test.beginRepair();
  const { epoch } = (await advanceUntil(log.delete("p_a")))!;
  held.release();
  await repair;
  // Not the end of the run, which is known by the head, without the events before it.
  deepEqual([tail.events!.epoch, tail.events!.end], [epoch, null]);
});

Deno.test("Tail.repair() reads a head that is newer than the call, even during another repair", async () => {
  await using test = await createTestTail();
  const { tail, append } = test;
  const { held, repair } = await test.beginRepair();
  await append();
  const another = tail.repair();
  held.release();
  await repair;
  equal(tail.events!.last, 1);
  await another;
  equal(tail.events!.last, 2);
});

Deno.test("Tail.clearBelow() reads the log when another epoch was cleared", async () => {
  await using test = await createTestTail();
  const { tail } = test;
  const { epoch } = await replaceLog(test);
  tail.clearBelow(epoch, 2);
  await settledWhen(() => tail.events!.epoch === epoch);
  deepEqual([tail.events!.epoch, tail.events!.first, tail.events!.last], [epoch, 2, 1]);
});

Deno.test("Tail.receive() tells of events that a clear drops before they are dropped", async () => {
  await using test = await createTestTail();
  const { tail, append, commits, losses } = test;
  await append();
  const [commit] = commits.slice(-1);
  // The message about the clear was lost, and so the commit after it tells.
  tail.receive({ ...commit!, cleared: 2 });
  deepEqual([losses, tail.events!.first], [[2], 2]);
  tail.clearBelow(tail.events!.epoch, 2);
  deepEqual(losses, [2]);
});

Deno.test("Tail.repair() tells of events that are replaced before they are", async () => {
  await using test = await createTestTail(3);
  const { tail, losses } = test;
  await replaceLog(test);
  await tail.repair();
  deepEqual([losses.at(-1), tail.events!.last < 3], [3, true]);
});
