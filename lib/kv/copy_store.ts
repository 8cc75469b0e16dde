/**
 * Copies all records of a store to an empty one, of the same or another kind.
 *
 * @module
 */

import { serialize } from "node:v8";
import { delay, RunnelError, type Runtime } from "../base/mod.ts";
import { COPY_SETTLE_MS } from "./copy_guard.ts";
import { COPY_MARK, type CopyMark, type SourceMark, type TargetMark } from "./copy_mark.ts";
import type { KvConnection } from "./kv_connection.ts";
import { listRecords, wipeRecords } from "./store_records.ts";

/** Number of records that are read at once. */
const READ_SIZE = 100;

/** Number of records that are written at once: an operation takes 1000 mutations. */
const MAX_RECORDS = 400;

/** Size of the records that are written at once, in bytes: an operation takes 800 KiB. */
const MAX_BYTES = 512 * 1024;

/** All errors of a store are `log-unavailable`. */
const AS = { as: "log-unavailable" } as const;

/** A store, and its location as the operator named it. */
export interface NamedStore {
  kv: KvConnection;
  name: string;
}

/** Options for {@linkcode copyStore}. */
export interface CopyStoreOptions {
  from: NamedStore;
  to: NamedStore;
  /**
   * Returns the time that a record has left, in milliseconds: Deno KV does not tell it.
   * `Infinity` for one that does not expire.
   *
   * @throws If the record is none of this program.
   */
  timeLeft: (key: Deno.KvKey, value: unknown, now: number) => number;
  /** Clock of the records. */
  runtime: Pick<Runtime, "clock">;
  /**
   * Called with a time in milliseconds, before it waits so long for processes that use the
   * source to notice the copy. It does so if the source is a KV server, which has no lock.
   *
   * @default {() => {}}
   */
  onWait?: (ms: number) => void;
  /** Called after each write, with the number of records so far. @default {() => {}} */
  onProgress?: (records: number) => void;
}

/** Result of a copy. */
export interface Copied {
  /** Number of records that were written. */
  records: number;
  /** Whether an earlier copy that was interrupted went on. */
  resumed: boolean;
}

/**
 * Copies a store. If it is interrupted, it goes on where it was when it is called again.
 *
 * The source is marked before the first record is read, and the services that run on a KV
 * server then stop to write. A record with a newer version than the mark was written by
 * another process. In that case the mark is
 * removed, and the next call begins anew.
 *
 * @throws {RunnelError} `storage-unusable` if the target is not empty, the source was copied
 *   elsewhere or is still written; `log-unavailable` if a store does not answer.
 */
export async function copyStore(options: CopyStoreOptions): Promise<Copied> {
  const { from, to } = options;
  const { mark, resumed } = await begin(options);
  const versionstamp = await settle(options);
  try {
    const records = await copyRecords(options, mark, versionstamp);
    await assertUnwritten(options, versionstamp);
    await to.kv.call((kv) => kv.atomic().delete(COPY_MARK).commit(), AS);
    return { records, resumed };
  } catch (error) {
    if (error instanceof StillWritten) {
      await from.kv.call((kv) => kv.atomic().delete(COPY_MARK).commit(), AS);
    }
    throw error;
  }
}

/** The source was written after the copy began. */
class StillWritten extends RunnelError {
  constructor(name: string, key: Deno.KvKey) {
    super(
      "storage-unusable",
      `Cannot copy: ${name} is still written (a record of the kind ${String(key[0])}). Stop all ` +
        "processes that use it, and copy again",
    );
  }
}

/** Marks both stores, or finds the marks of a copy that was interrupted. */
async function begin(
  { from, to }: CopyStoreOptions,
): Promise<{ mark: TargetMark; resumed: boolean }> {
  const source = await readMark(from);
  const target = await readMark(to);
  if (target?.role === "target" && source?.id === target.id) return { mark: target, resumed: true };
  if (source) {
    throw unusable(
      source.role === "source"
        ? `${from.name} was copied to ${source.other} before. To copy it again, run ` +
          "`deno task restore` on it without a file first"
        : `the copy of ${source.other} to ${from.name} is incomplete. Run that again first`,
    );
  }
  // What an earlier copy left, during which the source was written.
  if (target?.role === "target") await wipeRecords(to.kv);
  const [first] = await listRecords(to.kv, null, 1);
  if (first) throw unusable(`${to.name} is not empty. Name a new file, or an empty store`);
  const id = crypto.randomUUID();
  const mark: TargetMark = { role: "target", id, other: from.name, cursor: null };
  await to.kv.call((kv) => kv.atomic().set(COPY_MARK, mark).commit(), AS);
  const mine: SourceMark = { role: "source", id, other: to.name, isSettled: false };
  await from.kv.call((kv) => kv.atomic().set(COPY_MARK, mine).commit(), AS);
  return { mark, resumed: false };
}

/**
 * Waits until all processes that use the source know of the copy, and returns the version from
 * which on nothing is written.
 */
async function settle({ from, runtime, onWait = () => {} }: CopyStoreOptions): Promise<string> {
  const read = () => from.kv.call((kv) => kv.get<SourceMark>(COPY_MARK), AS);
  const { value: mark, versionstamp } = await read();
  if (!mark || mark.isSettled) return versionstamp!;
  if (from.kv.remote) {
    onWait(COPY_SETTLE_MS);
    await delay(runtime.clock, COPY_SETTLE_MS);
  }
  await from.kv.call((kv) => kv.atomic().set(COPY_MARK, { ...mark, isSettled: true }).commit(), AS);
  return (await read()).versionstamp!;
}

async function readMark({ kv }: NamedStore): Promise<CopyMark | null> {
  return (await kv.call((kv) => kv.get<CopyMark>(COPY_MARK), AS)).value;
}

async function copyRecords(
  { from, to, timeLeft, runtime, onProgress = () => {} }: CopyStoreOptions,
  mark: TargetMark,
  versionstamp: string,
): Promise<number> {
  let { cursor } = mark;
  let records = 0;
  let batch: { entry: Deno.KvEntry<unknown>; left: number }[] = [];
  let bytes = 0;
  const write = async () => {
    if (cursor === null) return;
    await to.kv.call((kv) => {
      const operation = kv.atomic().set(COPY_MARK, { ...mark, cursor });
      for (const { entry: { key, value }, left } of batch) {
        operation.set(key, value, left === Infinity ? {} : { expireIn: Math.ceil(left) });
      }
      return operation.commit();
    }, AS);
    onProgress(records += batch.length);
    batch = [];
    bytes = 0;
  };
  let read: Deno.KvKey | null = cursor;
  while (true) {
    const entries = await listRecords(from.kv, read, READ_SIZE);
    for (const entry of entries) {
      if (entry.versionstamp > versionstamp) throw new StillWritten(from.name, entry.key);
      const left = timeLeft(entry.key, entry.value, runtime.clock.now());
      const size = serialize(entry.value).byteLength;
      if (batch.length === MAX_RECORDS || bytes + size > MAX_BYTES) await write();
      if (left > 0) batch.push({ entry, left });
      bytes += size;
      cursor = entry.key;
    }
    if (entries.length === 0) break;
    read = cursor;
  }
  await write();
  return records;
}

/** Reads the source once more: what was written meanwhile may lie before the place of the copy. */
async function assertUnwritten({ from }: CopyStoreOptions, versionstamp: string): Promise<void> {
  for (let cursor: Deno.KvKey | null = null;;) {
    const entries = await listRecords(from.kv, cursor, READ_SIZE);
    for (const { key, versionstamp: version } of entries) {
      if (version > versionstamp) throw new StillWritten(from.name, key);
    }
    if (entries.length === 0) return;
    cursor = entries.at(-1)!.key;
  }
}

function unusable(problem: string): RunnelError {
  return new RunnelError("storage-unusable", `Cannot copy: ${problem}`);
}
