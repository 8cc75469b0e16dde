import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { fail, pause } from "../support/fakes/kv.ts";
import { textEvent } from "../support/log.ts";
import { createTestTail, keep, replaceLog, settledWhen } from "../support/tail.ts";
import { flush, until } from "../support/wait.ts";

const REPAIR_PAUSE_MS = 1000;
const BROADCAST_GRACE_MS = 20;
const COMMIT_GRACE_MS = 100;

Deno.test("LagMonitor.reconcileWith() gets an event committed after the repair in progress read the head", async () => {
  await using test = await createTestTail();
  const { tail, lag, append } = test;
  const { held } = await test.beginRepair();
  await append();
  const compared = lag.reconcileWith(await test.head(), "watch");
  held.release();
  equal(await compared, true);
  equal(tail.events!.last, 2);
  deepEqual(tail.repairs, { gap: 0, announcement: 0, watch: 1, reconcile: 0 });
});

Deno.test("LagMonitor.reconcileWith() reads nothing more when the repair in progress gets the event", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, kv } = test;
  await append();
  const { held, repair } = await test.beginRepair();
  const compared = lag.reconcileWith(await test.head(), "watch");
  held.release();
  equal(await compared, false);
  await repair;
  const { get } = kv.calls;
  await flush();
  equal(kv.calls.get, get);
  equal(tail.events!.last, 2);
});

Deno.test("LagMonitor.reconcileWith() gets events committed during two repairs, one after the other", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, kv } = test;
  const first = await test.beginRepair();
  await append();
  // The second repair reads the head and one event, before another one is written.
  const second = pause("answer");
  kv.script("next", second.fault);
  const compared = [lag.reconcileWith(await test.head(), "watch")];
  first.held.release();
  await second.reached;
  await append();
  compared.push(lag.reconcileWith(await test.head(), "watch"));
  second.release();
  deepEqual(await Promise.all(compared), [true, true]);
  equal(tail.events!.last, 3);
});

Deno.test("LagMonitor.reconcileWith() repairs by itself when the repair in progress fails", async () => {
  await using test = await createTestTail();
  const { tail, lag, append } = test;
  const { held, repair } = await test.beginRepair(true);
  await append();
  const compared = lag.reconcileWith(await test.head(), "watch");
  held.release();
  await rejects(repair, { type: "log-unavailable" });
  equal(await compared, true);
  equal(tail.events!.last, 2);
  equal(test.clock.liveTimers, 0, "a repair that succeeded needs no repetition");
});

Deno.test("LagMonitor.reconcileWith() applies a clear made after the repair in progress read the head", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, log } = test;
  await append();
  const { held, repair } = await test.beginRepair();
  await log.clear("p_a");
  const compared = lag.reconcileWith(await test.head(), "watch");
  held.release();
  await Promise.all([repair, compared]);
  deepEqual([tail.events!.first, tail.events!.last], [3, 2]);
});

Deno.test("LagMonitor.reconcileWith() applies a clear and gets the event after it, during a repair", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, log } = test;
  const { held } = await test.beginRepair();
  await log.clear("p_a");
  await append();
  const compared = lag.reconcileWith(await test.head(), "watch");
  held.release();
  await compared;
  deepEqual([tail.events!.first, tail.events!.last], [2, 2]);
});

Deno.test("LagMonitor.reconcileWith() repairs nothing when an unwritten log has expired", async () => {
  await using test = await createTestTail(0);
  const { tail, lag } = test;
  equal(tail.events!.last, 0);
  equal(await lag.reconcileWith(null, "watch"), false);
  equal(tail.repairs.watch, 0);
});

Deno.test("LagMonitor.reconcileWith() repairs when a written log is missing", async () => {
  await using test = await createTestTail();
  const { tail, lag } = test;
  equal(await lag.reconcileWith(null, "watch"), true);
  equal(tail.repairs.watch, 1);
});

Deno.test("LagMonitor.reconcileWith() does not wait long for a commit in flight in this isolate", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, log, kv, clock } = test;
  await append();
  const head = await test.head();
  const commit = pause("call");
  kv.script("commit", commit.fault);
  const appending = log.append("p_a", [textEvent("x")]);
  await commit.reached;
  const compared = lag.reconcileWith(head, "watch");
  await settledWhen(() => tail.events!.last === 1);
  equal(tail.events!.last, 1);
  clock.advance(COMMIT_GRACE_MS);
  equal(await compared, true);
  equal(tail.events!.last, 2);
  commit.release();
  await appending;
});

Deno.test("LagMonitor.reconcileWith() reads nothing when the tail is disposed while it waits", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, log, kv } = test;
  await append();
  const head = await test.head();
  const commit = pause("call");
  kv.script("commit", commit.fault);
  const appending = log.append("p_a", [textEvent("x")]);
  await commit.reached;
  const compared = lag.reconcileWith(head, "watch");
  await flush();
  lag[Symbol.dispose]();
  tail[Symbol.dispose]();
  const { get } = kv.calls;
  commit.release();
  await appending;
  equal(await compared, false);
  equal(kv.calls.get, get);
});

Deno.test("LagMonitor.awaitBroadcast() starts no timer when the tail is disposed", async () => {
  await using test = await createTestTail();
  const { tail, lag, clock } = test;
  lag[Symbol.dispose]();
  tail[Symbol.dispose]();
  lag.awaitBroadcast({ epoch: tail.events!.epoch, sequence: 2 });
  equal(clock.liveTimers, 0);
});

Deno.test("LagMonitor.reconcileWith() applies a clear when the tail is not behind", async () => {
  await using test = await createTestTail();
  const { tail, lag, log } = test;
  await log.clear("p_a");
  equal(await lag.reconcileWith(await test.head(), "watch"), false);
  deepEqual([tail.events!.first, tail.events!.last], [2, 1]);
  await until(() => log.pending.sweeps === 0);
});

Deno.test("LagMonitor.awaitBroadcast() gets an event of another epoch with a lower sequence", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, clock } = test;
  await append(5);
  lag.awaitBroadcast({ epoch: tail.events!.epoch, sequence: 6 });
  const { epoch, first } = await replaceLog(test);
  lag.awaitBroadcast({ epoch, sequence: first });
  clock.advance(BROADCAST_GRACE_MS);
  await settledWhen(() => tail.events!.epoch === epoch);
  deepEqual([tail.events!.epoch, tail.events!.last], [epoch, 1]);
});

Deno.test("LagMonitor.awaitBroadcast() gets an event after a repair that failed", async () => {
  await using test = await createTestTail();
  const { tail, lag, append, clock, kv } = test;
  await append();
  kv.script("get", fail());
  lag.awaitBroadcast({ epoch: tail.events!.epoch, sequence: 2 });
  clock.advance(BROADCAST_GRACE_MS);
  await settledWhen(() => tail.events!.last === 1);
  equal(tail.events!.last, 1);
  clock.advance(REPAIR_PAUSE_MS);
  await settledWhen(() => tail.events!.last === 2);
  equal(tail.events!.last, 2);
});

Deno.test("LagMonitor.reconcileWith() gives the log a new epoch when it was rolled back", async () => {
  await using test = await createTestTail(10);
  const rollBack = await keep(test);
  await test.append(5);
  await test.tail.repair();
  const before = test.tail.events!;
  await rollBack();
  equal(await test.lag.reconcileWith(await test.head(), "reconcile"), true);
  const { epoch, sequence } = await test.head();
  equal(epoch === before.epoch, false);
  equal(sequence, 10);
  deepEqual([test.tail.events!.epoch, test.tail.events!.last], [epoch, 10]);
  equal(test.log.pending.waitingBytes, 0);
});

Deno.test("LagMonitor.reconcileWith() does not take an old head for a log that was rolled back", async () => {
  await using test = await createTestTail(10);
  const old = await test.head();
  await test.append(5);
  await test.tail.repair();
  const before = test.tail.events!;
  for (const source of ["reconcile", "watch", "announcement"] as const) {
    await test.lag.reconcileWith(old, source);
  }
  test.clock.advance(1000);
  await flush();
  equal(test.tail.events, before);
  equal((await test.head()).epoch, before.epoch);
});

Deno.test("LagMonitor.reconcileWith() checks a log whose watch stays behind, once in a second", async () => {
  await using test = await createTestTail(10);
  const rollBack = await keep(test);
  await test.append(5);
  await test.tail.repair();
  const before = test.tail.events!;
  const { get } = test.kv.calls;
  // Behind, and then not any more.
  await test.lag.reconcileWith({ ...await test.head(), sequence: 14 }, "watch");
  await test.lag.reconcileWith(await test.head(), "watch");
  test.clock.advance(1000);
  await flush();
  equal(test.kv.calls.get, get);

  await rollBack();
  const head = await test.head();
  await test.lag.reconcileWith(head, "watch");
  await test.lag.reconcileWith(head, "watch");
  equal(test.tail.events, before);
  test.clock.advance(1000);
  await until(() => test.tail.events !== before);
  equal(test.tail.events!.epoch === before.epoch, false);
});
