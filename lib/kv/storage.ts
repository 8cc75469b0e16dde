/**
 * The storage of the log: prepared at start, so that an operator learns of a
 * wrong setup then, and of its remedy.
 *
 * @module
 */

import { RunnelError, type Runtime, startCommand, systemRuntime } from "../base/mod.ts";
import { CopyGuard } from "./copy_guard.ts";
import { DiskReserve } from "./disk_reserve.ts";
import { FileGuard, type StoreGuard } from "./file_guard.ts";
import { folderOf, lockFile } from "./file_lock.ts";
import type { Kv, WatchKv } from "./kv_connection.ts";
import { promptCommits } from "./prompt_commits.ts";
import { checkAtStart, findInvalid } from "./start_check.ts";
import { eraseFile, removeIncompleteCopy } from "./store_file.ts";

/** A store that is ready to be opened. Disposing it unlocks it for other processes. */
export interface KvStorage extends Disposable {
  /** Opens a connection to the store. */
  open: () => Promise<Kv & WatchKv>;
  /**
   * Whether the store is reached over a network: other processes write to it, and
   * a connection may freeze.
   */
  remote: boolean;
  /**
   * Starts to check that the store is the one that was opened, or that it is not copied to
   * another one; `null` if it is neither a file nor that of a KV server.
   */
  guard: ((runtime: Pick<Runtime, "clock" | "report">) => Promise<StoreGuard>) | null;
  /**
   * Searches the values under the keys of two texts that cannot be decoded or are
   * invalid, and returns the second texts; `null` if the store is not a file. Called
   * before the store is opened.
   */
  findInvalid: ((first: string, isValid: (value: unknown) => boolean) => Promise<string[]>) | null;
  /**
   * Removes all bytes of what was deleted, while no connection is open; `null` if
   * the store is not a file. Returns false if it is too large for a service that waits.
   */
  erase: (() => Promise<boolean>) | null;
  /** Keeps room for deletions on the disk; `null` if the store is not a file. */
  reserve: ((runtime: Pick<Runtime, "clock" | "report">) => Promise<DiskReserve>) | null;
  /**
   * Returns the size of the file and of what SQLite keeps beside it, in bytes; `null`
   * if the store is not a file.
   */
  size: (() => number) | null;
}

/**
 * Prepares a store. A file gets its folder, and is locked against other
 * processes: changes of a file are delivered only within the process that makes
 * them. Nobody but its owner may read it.
 *
 * @param kv A path, `:memory:`, the URL of a KV Connect server, or `undefined`
 *   for the store of the platform.
 * @param runtime Reporter of what the operator has to know and what prevents no start.
 * @throws {RunnelError} `storage-unusable`, with the remedy in its message.
 */
export async function prepareStorage(
  kv: string | undefined,
  runtime: Pick<Runtime, "report"> = systemRuntime,
): Promise<KvStorage> {
  const remote = kv === undefined || isUrl(kv);
  const inFile = !remote && kv !== ":memory:";
  const lock = inFile ? await withSetupHint(kv, () => lockFile(kv, runtime)) : null;
  if (inFile) {
    await removeIncompleteCopy(kv);
    await checkAtStart(kv, runtime);
  }
  const isServer = kv !== undefined && isUrl(kv);
  const open = () =>
    withSetupHint(kv, async () => {
      if (kv === undefined) requireDatabase();
      const opened = await Deno.openKv(kv);
      return isServer ? promptCommits(opened) : opened;
    });
  const startGuard = lock
    ? (runtime: Pick<Runtime, "clock" | "report">) => FileGuard.start(kv!, lock, runtime)
    : isServer
    ? (runtime: Pick<Runtime, "clock" | "report">) => CopyGuard.start(open, runtime)
    : null;
  return {
    open,
    remote,
    findInvalid: inFile ? (first, isValid) => findInvalid(kv, first, isValid) : null,
    erase: inFile ? () => eraseFile(kv) : null,
    reserve: inFile ? (runtime) => DiskReserve.fill(kv, runtime) : null,
    size: inFile ? () => sizeOf(kv) : null,
    guard: startGuard,
    [Symbol.dispose]: () => lock?.[Symbol.dispose](),
  };
}

/** Returns the size of a database in bytes. No file is opened, which would drop the locks. */
function sizeOf(path: string): number {
  return ["", "-wal", "-shm"].reduce((sum, suffix) => sum + sizeOfPart(path + suffix), 0);
}

/** Returns the size of a file in bytes; 0 if there is none. */
function sizeOfPart(path: string): number {
  try {
    // That of `node:fs` throws nothing, but loading it delays the start.
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/**
 * Makes the runtime refuse a store of the platform that is not a database. Otherwise, an app
 * without one gets a store in memory: accepted events would be lost with the instance, and
 * other instances would not see them. Runtimes before 2.9 do not know the variable.
 */
function requireDatabase(): void {
  Deno.env.set("DENO_KV_REQUIRES_DISTRIBUTED_DATABASE", "error");
}

/** Adds the remedy to an error of opening a store. */
async function withSetupHint<T>(where: string | undefined, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (error instanceof RunnelError) throw error;
    throw new RunnelError("storage-unusable", describeSetup(where, error), { cause: error });
  }
}

function describeSetup(where: string | undefined, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  if (where === undefined) {
    return `Cannot open the store: that of the platform fails (${reason}). ` +
      "Assign a Deno KV database to the app, or set RUNNEL_KV to the URL of a KV Connect server";
  }
  if (error instanceof Deno.errors.NotCapable) {
    const name = /"([^"]+)"/.exec(error.message)?.[1] ?? where;
    const folders = [folderOf(where)];
    const command = startCommand({
      settings: { RUNNEL_KV: where },
      read: folders,
      write: folders,
    });
    return `Cannot start: no permission for ${name}. Use a file in .data, or start with: ${command}`;
  }
  const advice = isUrl(where)
    ? "Start the KV server there, and set DENO_KV_ACCESS_TOKEN to its access token"
    : "Name a file in a folder that can be written to, :memory:, or the URL of a KV Connect server";
  return `Cannot open the store: RUNNEL_KV is ${where}, which fails (${reason}). ${advice}`;
}

function isUrl(kv: string): boolean {
  return /^https?:\/\//.test(kv);
}
