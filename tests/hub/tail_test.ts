import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import type { Commit } from "../../lib/log/commit.ts";
import { PageReader } from "../../lib/stream/page_reader.ts";
import { packSegments } from "../../lib/log/segment.ts";
import { replaceSecret } from "../../lib/log/unwritten.ts";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { Tail } from "../../lib/hub/tail.ts";
import { collectReports } from "../support/fakes/reporter.ts";
import { fail, type Fault, passThrough, pause, type PausedCall } from "../support/fakes/kv.ts";
import { createTestLog, textEvent } from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

const REPAIR_PAUSE_MS = 1000;
const BROADCAST_GRACE_MS = 20;
const COMMIT_GRACE_MS = 100;

/** A tail of one event, or none, on a real log, without signals of further ones. */
async function createTestTail(count = 1, events = 100, bytes = 2 * 1024 * 1024) {
  const test = await createTestLog();
  const { log, clock, kv, advanceUntil } = test;
  const reports: string[] = [];
  const growth: number[] = [];
  /** The newest sequence each time before events were dropped. */
  const losses: number[] = [];
  const tail = new Tail("p_a", {
    log,
    pages: new PageReader(log),
    runtime: { clock, report: collectReports(reports) },
    limits: { events, bytes },
    onChange() {},
    beforeLoss: () => losses.push(tail.events!.last),
    onGrowth: (bytes) => growth.push(bytes),
  });
  const append = async (count = 1) => {
    for (let i = 0; i < count; i++) await advanceUntil(log.append("p_a", [textEvent("x")]));
  };
  /** Reads the current head, past any script. */
  const head = async () => (await log.heads(["p_a"]))[0]!;
  await append(count);
  await tail.repair();
  return {
    ...test,
    tail,
    reports,
    growth,
    losses,
    append,
    head,
    /** Starts a repair, and holds it after it has read the head. */
    async beginRepair(fails = false): Promise<{ repair: Promise<void>; held: PausedCall }> {
      const held = pause("answer");
      kv.script("get", async (carryOut) => {
        await held.fault(carryOut);
        if (fails) throw new Error("connection reset");
        return await held.done;
      });
      const repair = tail.repair();
      repair.catch(() => {});
      await held.reached;
      return { repair, held };
    },
    async [Symbol.asyncDispose]() {
      tail[Symbol.dispose]();
      // A sweep after a clear may still be in progress.
      await log.close();
      equal(clock.liveTimers, 0);
    },
  };
}

/** Waits for a condition as long as a busy machine may take, which the caller asserts then. */
async function settledWhen(holds: () => boolean): Promise<void> {
  await flush();
  for (let i = 0; i < 100 && !holds(); i++) await flush();
}

/** A commit as it is broadcast. */
function commitOf(first: number, epoch: string): Commit {
  const segments = packSegments({ token: 0n, time: 0, first }, [textEvent("x")]);
  return { pipeline: "p_a", epoch, cleared: 0, segments };
}

Deno.test("Tail.reconcileWith() gets an event committed after the repair in progress read the head", async () => {
  await using test = await createTestTail();
  const { tail, append } = test;
  const { held } = await test.beginRepair();
  await append();
  const compared = tail.reconcileWith(await test.head(), "watch");
  held.release();
  equal(await compared, true);
  equal(tail.events!.last, 2);
  deepEqual(tail.repairs, { gap: 0, announcement: 0, watch: 1, reconcile: 0 });
});

Deno.test("Tail.reconcileWith() reads nothing more when the repair in progress gets the event", async () => {
  await using test = await createTestTail();
  const { tail, append, kv } = test;
  await append();
  const { held, repair } = await test.beginRepair();
  const compared = tail.reconcileWith(await test.head(), "watch");
  held.release();
  equal(await compared, false);
  await repair;
  const { get } = kv.calls;
  await flush();
  equal(kv.calls.get, get);
  equal(tail.events!.last, 2);
});

Deno.test("Tail.reconcileWith() gets events committed during two repairs, one after the other", async () => {
  await using test = await createTestTail();
  const { tail, append, kv } = test;
  const first = await test.beginRepair();
  await append();
  // The second repair reads the head and one event, before another one is written.
  const second = pause("answer");
  kv.script("next", second.fault);
  const compared = [tail.reconcileWith(await test.head(), "watch")];
  first.held.release();
  await second.reached;
  await append();
  compared.push(tail.reconcileWith(await test.head(), "watch"));
  second.release();
  deepEqual(await Promise.all(compared), [true, true]);
  equal(tail.events!.last, 3);
});

Deno.test("Tail.reconcileWith() repairs by itself when the repair in progress fails", async () => {
  await using test = await createTestTail();
  const { tail, append } = test;
  const { held, repair } = await test.beginRepair(true);
  await append();
  const compared = tail.reconcileWith(await test.head(), "watch");
  held.release();
  await rejects(repair, { type: "log-unavailable" });
  equal(await compared, true);
  equal(tail.events!.last, 2);
  equal(test.clock.liveTimers, 0, "a repair that succeeded needs no repetition");
});

Deno.test("Tail repeats a failed repair until one succeeds, without another signal", async () => {
  await using test = await createTestTail();
  const { tail, append, clock, kv } = test;
  await append();
  const head = await test.head();
  kv.script("get", fail(), fail(), fail());
  await rejects(tail.reconcileWith(head, "announcement"), { type: "log-unavailable" });
  for (let i = 0; i < 3; i++) {
    equal(tail.events!.last, 1);
    clock.advance(REPAIR_PAUSE_MS);
    await flush();
  }
  equal(tail.events!.last, 2);
  equal(test.reports.length, 2, "the first failure was its caller's");
});

Deno.test("Tail.reconcileWith() applies a clear made after the repair in progress read the head", async () => {
  await using test = await createTestTail();
  const { tail, append, log } = test;
  await append();
  const { held, repair } = await test.beginRepair();
  await log.clear("p_a");
  const compared = tail.reconcileWith(await test.head(), "watch");
  held.release();
  await Promise.all([repair, compared]);
  deepEqual([tail.events!.first, tail.events!.last], [3, 2]);
});

Deno.test("Tail.reconcileWith() applies a clear and gets the event after it, during a repair", async () => {
  await using test = await createTestTail();
  const { tail, append, log } = test;
  const { held } = await test.beginRepair();
  await log.clear("p_a");
  await append();
  const compared = tail.reconcileWith(await test.head(), "watch");
  held.release();
  await compared;
  deepEqual([tail.events!.first, tail.events!.last], [2, 2]);
});

Deno.test("Tail.reconcileWith() repairs nothing when an unwritten log has expired", async () => {
  await using test = await createTestTail(0);
  const { tail } = test;
  equal(tail.events!.last, 0);
  equal(await tail.reconcileWith(null, "watch"), false);
  equal(tail.repairs.watch, 0);
});

Deno.test("Tail.reconcileWith() repairs when a written log is missing", async () => {
  await using test = await createTestTail();
  const { tail } = test;
  equal(await tail.reconcileWith(null, "watch"), true);
  equal(tail.repairs.watch, 1);
});

Deno.test("Tail.reconcileWith() does not wait long for a commit in flight in this isolate", async () => {
  await using test = await createTestTail();
  const { tail, append, log, kv, clock } = test;
  await append();
  const head = await test.head();
  const commit = pause("call");
  kv.script("commit", commit.fault);
  const appending = log.append("p_a", [textEvent("x")]);
  await commit.reached;
  const compared = tail.reconcileWith(head, "watch");
  await settledWhen(() => tail.events!.last === 1);
  equal(tail.events!.last, 1);
  clock.advance(COMMIT_GRACE_MS);
  equal(await compared, true);
  equal(tail.events!.last, 2);
  commit.release();
  await appending;
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

Deno.test("Tail.reconcileWith() reads nothing when the tail is disposed while it waits", async () => {
  await using test = await createTestTail();
  const { tail, append, log, kv } = test;
  await append();
  const head = await test.head();
  const commit = pause("call");
  kv.script("commit", commit.fault);
  const appending = log.append("p_a", [textEvent("x")]);
  await commit.reached;
  const compared = tail.reconcileWith(head, "watch");
  await flush();
  tail[Symbol.dispose]();
  const { get } = kv.calls;
  commit.release();
  await appending;
  equal(await compared, false);
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

Deno.test("Tail.awaitBroadcast() starts no timer when the tail is disposed", async () => {
  await using test = await createTestTail();
  const { tail, clock } = test;
  tail[Symbol.dispose]();
  tail.awaitBroadcast({ epoch: tail.events!.epoch, sequence: 2 });
  equal(clock.liveTimers, 0);
});

Deno.test("Tail.reconcileWith() applies a clear when the tail is not behind", async () => {
  await using test = await createTestTail();
  const { tail, log } = test;
  await log.clear("p_a");
  equal(await tail.reconcileWith(await test.head(), "watch"), false);
  deepEqual([tail.events!.first, tail.events!.last], [2, 1]);
  await until(() => log.pending.sweeps === 0);
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

/** Replaces the log of the pipeline by another of one event. */
async function replaceLog({ kv, log, advanceUntil }: Awaited<ReturnType<typeof createTestTail>>) {
  for (const prefix of [["head"], ["log"]]) {
    for await (const { key } of kv.inner.list({ prefix })) {
      await kv.inner.atomic().delete(key).commit();
    }
  }
  await replaceSecret(kv.inner);
  return await advanceUntil(log.append("p_a", [textEvent("y")]));
}

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

Deno.test("Tail.awaitBroadcast() gets an event of another epoch with a lower sequence", async () => {
  await using test = await createTestTail();
  const { tail, append, clock } = test;
  await append(5);
  tail.awaitBroadcast({ epoch: tail.events!.epoch, sequence: 6 });
  const { epoch, first } = await replaceLog(test);
  tail.awaitBroadcast({ epoch, sequence: first });
  clock.advance(BROADCAST_GRACE_MS);
  await settledWhen(() => tail.events!.epoch === epoch);
  deepEqual([tail.events!.epoch, tail.events!.last], [epoch, 1]);
});

Deno.test("Tail.awaitBroadcast() gets an event after a repair that failed", async () => {
  await using test = await createTestTail();
  const { tail, append, clock, kv } = test;
  await append();
  kv.script("get", fail());
  tail.awaitBroadcast({ epoch: tail.events!.epoch, sequence: 2 });
  clock.advance(BROADCAST_GRACE_MS);
  await settledWhen(() => tail.events!.last === 1);
  equal(tail.events!.last, 1);
  clock.advance(REPAIR_PAUSE_MS);
  await settledWhen(() => tail.events!.last === 2);
  equal(tail.events!.last, 2);
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

/** Puts the store back to where it was when `keep` was called. */
async function keep({ kv }: Awaited<ReturnType<typeof createTestTail>>) {
  const entries = await Array.fromAsync(kv.inner.list({ prefix: [] }));
  return async () => {
    for await (const { key } of kv.inner.list({ prefix: [] })) {
      await kv.inner.atomic().delete(key).commit();
    }
    for (const { key, value } of entries) await kv.inner.atomic().set(key, value).commit();
  };
}

Deno.test("Tail.reconcileWith() gives the log a new epoch when it was rolled back", async () => {
  await using test = await createTestTail(10);
  const rollBack = await keep(test);
  await test.append(5);
  await test.tail.repair();
  const before = test.tail.events!;
  await rollBack();
  equal(await test.tail.reconcileWith(await test.head(), "reconcile"), true);
  const { epoch, sequence } = await test.head();
  equal(epoch === before.epoch, false);
  equal(sequence, 10);
  deepEqual([test.tail.events!.epoch, test.tail.events!.last], [epoch, 10]);
  equal(test.log.pending.waitingBytes, 0);
});

Deno.test("Tail.reconcileWith() does not take an old head for a log that was rolled back", async () => {
  await using test = await createTestTail(10);
  const old = await test.head();
  await test.append(5);
  await test.tail.repair();
  const before = test.tail.events!;
  for (const source of ["reconcile", "watch", "announcement"] as const) {
    await test.tail.reconcileWith(old, source);
  }
  test.clock.advance(1000);
  await flush();
  equal(test.tail.events, before);
  equal((await test.head()).epoch, before.epoch);
});

Deno.test("Tail.reconcileWith() checks a log whose watch stays behind, once in a second", async () => {
  await using test = await createTestTail(10);
  const rollBack = await keep(test);
  await test.append(5);
  await test.tail.repair();
  const before = test.tail.events!;
  const { get } = test.kv.calls;
  // Behind, and then not any more.
  await test.tail.reconcileWith({ ...await test.head(), sequence: 14 }, "watch");
  await test.tail.reconcileWith(await test.head(), "watch");
  test.clock.advance(1000);
  await flush();
  equal(test.kv.calls.get, get);

  await rollBack();
  const head = await test.head();
  await test.tail.reconcileWith(head, "watch");
  await test.tail.reconcileWith(head, "watch");
  equal(test.tail.events, before);
  test.clock.advance(1000);
  await until(() => test.tail.events !== before);
  equal(test.tail.events!.epoch === before.epoch, false);
});
