import { strictEqual as equal } from "node:assert/strict";
import { LagMonitor } from "../../lib/hub/lag_monitor.ts";
import { Tail } from "../../lib/hub/tail.ts";
import type { Commit } from "../../lib/log/commit.ts";
import { packSegments } from "../../lib/log/segment.ts";
import { replaceSecret } from "../../lib/log/unwritten.ts";
import { PageReader } from "../../lib/stream/page_reader.ts";
import { pause, type PausedCall } from "./fakes/kv.ts";
import { collectReports } from "./fakes/reporter.ts";
import { createTestLog, textEvent } from "./log.ts";
import { flush } from "./wait.ts";

/** A tail of one event, or none, on a real log, with a monitor but no signals of further ones. */
export async function createTestTail(count = 1, events = 100, bytes = 2 * 1024 * 1024) {
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
  const lag = new LagMonitor("p_a", tail, { log, runtime: { clock } });
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
    lag,
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
      lag[Symbol.dispose]();
      tail[Symbol.dispose]();
      // A sweep after a clear may still be in progress.
      await log.close();
      equal(clock.liveTimers, 0);
    },
  };
}

/** Waits for a condition as long as a busy machine may take, which the caller asserts then. */
export async function settledWhen(holds: () => boolean): Promise<void> {
  await flush();
  for (let i = 0; i < 100 && !holds(); i++) await flush();
}

/** A commit as it is broadcast. */
export function commitOf(first: number, epoch: string): Commit {
  const segments = packSegments({ token: 0n, time: 0, first }, [textEvent("x")]);
  return { pipeline: "p_a", epoch, cleared: 0, segments };
}

/** Replaces the log of the pipeline by another of one event. */
export async function replaceLog(
  { kv, log, advanceUntil }: Awaited<ReturnType<typeof createTestTail>>,
) {
  for (const prefix of [["head"], ["log"]]) {
    for await (const { key } of kv.inner.list({ prefix })) {
      await kv.inner.atomic().delete(key).commit();
    }
  }
  await replaceSecret(kv.inner);
  return await advanceUntil(log.append("p_a", [textEvent("y")]));
}

/** Puts the store back to where it was when `keep` was called. */
export async function keep({ kv }: Awaited<ReturnType<typeof createTestTail>>) {
  const entries = await Array.fromAsync(kv.inner.list({ prefix: [] }));
  return async () => {
    for await (const { key } of kv.inner.list({ prefix: [] })) {
      await kv.inner.atomic().delete(key).commit();
    }
    for (const { key, value } of entries) await kv.inner.atomic().set(key, value).commit();
  };
}
