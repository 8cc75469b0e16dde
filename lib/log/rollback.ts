/**
 * A store that was rolled back: an older copy of it was put in its place while
 * processes use it. The sequences after that copy would be assigned once more, to
 * other events. Whoever knows a newer event than the head notices it, and gives the
 * pipeline a new epoch.
 *
 * @module
 */

import { delay, type Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { VersionedHead } from "./commit.ts";
import { type Head, mintEpoch, UNWRITTEN_LIFETIME_MS } from "./head.ts";
import { headKey } from "./keys.ts";
import type { HeadReader } from "./unwritten.ts";

/**
 * Returns a head as the next commit follows it: under a new epoch if it is older
 * than an event that was committed before the head was read.
 *
 * @param read The head, by a strong read.
 * @param known Position of an event that the log had before.
 */
export function renewIfRolledBack(read: VersionedHead, known: Position | null): VersionedHead {
  const { head } = read;
  if (head.epoch !== known?.epoch || head.sequence >= known.sequence) return read;
  return { ...read, head: { ...head, epoch: mintEpoch() } };
}

/** Tells the operator that a pipeline has a new epoch because the store was rolled back. */
export function reportRollback(
  { report }: Pick<Runtime, "report">,
  pipeline: string,
  known: Position,
  head: Pick<Head, "sequence">,
): void {
  report(
    "The store was rolled back: a pipeline lacks events that it had. It has a new epoch. " +
      "Run `deno task restore` for the others",
    undefined,
    { fields: { pipeline, had: known.sequence, has: head.sequence } },
  );
}

/** Options for {@linkcode storeNewEpoch}. */
export interface NewEpochOptions {
  /** The store. */
  kv: KvConnection;
  /** Reader of the heads. */
  headReader: HeadReader;
  /** Random numbers for jitter, and reporter of a store that was rolled back. */
  runtime: Pick<Runtime, "clock" | "random" | "report">;
}

/**
 * Stores a new epoch for a pipeline whose head is older than an event that was
 * committed before this call.
 *
 * @returns The head; as it is if it is not older.
 * @throws {RunnelError} `log-unavailable` if the log does not answer.
 */
export async function storeNewEpoch(
  pipeline: string,
  known: Position,
  { kv, headReader, runtime }: NewEpochOptions,
): Promise<Head> {
  const as = "log-unavailable";
  while (true) {
    const read = await headReader.read((use) => kv.call(use, { as }), pipeline);
    const { head, checks } = renewIfRolledBack(read, known);
    if (head === read.head) return head;
    const options = head.sequence === 0 ? { expireIn: UNWRITTEN_LIFETIME_MS } : {};
    const { ok } = await kv.call(
      (kv) => kv.atomic().check(...checks).set(headKey(pipeline), head, options).commit(),
      { as },
    );
    if (ok) {
      reportRollback(runtime, pipeline, known, head);
      return head;
    }
    await delay(runtime.clock, runtime.random() * 10);
  }
}
