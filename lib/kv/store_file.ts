/**
 * Work on the file of a store as a whole: checks, copies, compaction, replacement.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import { copyRows, openDatabase, quickCheck, sizeInUse } from "./database.ts";
import { FILE_MODE } from "./file_lock.ts";

/** Ending of the file beside the store that takes its place. */
const NEXT = ".next";

/** Ending of the file that keeps what was replaced. */
const REPLACED = ".replaced";

/** Maximum size of what {@linkcode eraseFile} copies, in bytes: that takes a fifth of a second. */
const MAX_ERASED_BYTES = 16 * 1024 * 1024;

/** Pause between two looks at whether a connection has closed, in milliseconds. */
const CLOSING_PAUSE_MS = 10;

/** Number of such pauses. */
const CLOSING_TRIES = 50;

/** Sizes before and after a compaction, in bytes. */
export interface Compaction {
  /** Size of the file and its WAL before. */
  before: number;
  /** Size of the file now. */
  after: number;
}

/** Removes the incomplete copy that a process left that was killed, if there is one. */
export async function removeIncompleteCopy(path: string): Promise<void> {
  for (const ending of ["", "-wal", "-shm"]) await removeIfPresent(path + NEXT + ending);
}

/**
 * Compacts a file that no connection has open: afterwards it contains no byte of
 * what was deleted. A process that is killed meanwhile leaves the file as it was.
 *
 * @param path The file, which the caller has locked.
 * @throws {RunnelError} `storage-unusable` if it is damaged or not a store.
 */
export async function compactFile(path: string): Promise<Compaction> {
  const before = await sizeOf(path) + await sizeOf(`${path}-wal`);
  await removeIncompleteCopy(path);
  await copyFile(path, path + NEXT);
  await checkpoint(path);
  await Deno.rename(path + NEXT, path);
  return { before, after: await sizeOf(path) };
}

/**
 * Compacts the file of a service that waits for it, if there is little in it.
 *
 * @returns Whether there was little enough.
 * @throws {Error} If a connection still has it open.
 */
export async function eraseFile(path: string): Promise<boolean> {
  {
    using database = await openDatabase(path);
    if (sizeInUse(database) > MAX_ERASED_BYTES) return false;
  }
  // The last connection removes the WAL. One that is still closing would remove that
  // of the new file.
  for (let tries = 0; await exists(`${path}-wal`); tries++) {
    if (tries === CLOSING_TRIES) throw new Error(`${path} is still in use`);
    await new Promise((resolve) => setTimeout(resolve, CLOSING_PAUSE_MS));
  }
  await compactFile(path);
  return true;
}

/**
 * Replaces a file that no connection has open by a copy of another one, which is
 * checked first. A process that is killed meanwhile leaves the file as it was.
 * The file that is replaced is kept beside it.
 *
 * @param path The file, which the caller has locked.
 * @param from The file that is copied.
 * @param prepare Called with the path of the copy, to change it before it takes its place.
 * @returns Path of the file that keeps what was replaced; `null` if it was empty.
 * @throws {RunnelError} `storage-unusable` if `from` is missing, damaged or not a store.
 */
export async function replaceFile(
  path: string,
  from: string,
  prepare: (copy: string) => Promise<void>,
): Promise<string | null> {
  const problems = await checkFile(from);
  if (problems.length > 0) throw unusable(from, problems[0]!);
  const next = path + NEXT;
  await removeIncompleteCopy(path);
  await copyFile(from, next);
  await prepare(next);
  // What is left in a WAL would be lost, because it is not renamed.
  await checkpoint(next);
  const replaced = await keepReplaced(path);
  await Deno.rename(next, path);
  return replaced;
}

/** Keeps a file under another name, with its WAL if that cannot be merged. */
async function keepReplaced(path: string): Promise<string | null> {
  for (const ending of ["", "-wal"]) await removeIfPresent(path + REPLACED + ending);
  // A damaged file keeps its WAL, which would be played into the one that follows.
  try {
    await checkpoint(path);
  } catch (error) {
    if (error instanceof RunnelError) throw error;
  }
  const isEmpty = await sizeOf(path) + await sizeOf(`${path}-wal`) === 0;
  if (!isEmpty) await Deno.link(path, path + REPLACED);
  try {
    await Deno.rename(`${path}-wal`, `${path}${REPLACED}-wal`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await removeIfPresent(`${path}-shm`);
  return isEmpty ? null : path + REPLACED;
}

/**
 * Copies a store as it is at one moment, even while other processes write to it,
 * into a new file that only its owner can read. An incomplete copy is removed.
 *
 * @throws {RunnelError} `storage-unusable` if the source is missing, damaged or not a store.
 */
export async function copyFile(source: string, target: string): Promise<void> {
  // Otherwise SQLite would call a missing file an empty database.
  if (await sizeOf(source) + await sizeOf(`${source}-wal`) === 0) {
    throw unusable(source, "there is no such file, or it is empty");
  }
  (await Deno.open(target, { write: true, createNew: true, mode: FILE_MODE })).close();
  try {
    using from = await openDatabase(source, { readOnly: true });
    using to = await openDatabase(target);
    await copyRows(from, to);
  } catch (cause) {
    await removeIfPresent(target);
    throw cause instanceof RunnelError ? cause : unusable(source, describe(cause), cause);
  }
  using file = await Deno.open(target, { read: true, write: true });
  await file.sync();
}

/**
 * Checks the structure of a file, and returns up to three problems.
 *
 * @throws {RunnelError} `storage-unusable` if the file is missing.
 */
export async function checkFile(path: string): Promise<string[]> {
  if (await sizeOf(path) === 0) throw unusable(path, "there is no such file, or it is empty");
  try {
    using database = await openDatabase(path, { readOnly: true });
    return quickCheck(database);
  } catch (error) {
    return [describe(error)];
  }
}

/** Writes the WAL into the file, and removes it, if no connection has the file open. */
async function checkpoint(path: string): Promise<void> {
  using database = await openDatabase(path);
  const { busy } = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()!;
  if (busy !== 0) throw unusable(path, "another process uses it. Try again once that has ended");
}

function unusable(path: string, reason: string, cause?: unknown): RunnelError {
  return new RunnelError("storage-unusable", `Cannot read ${path}: ${reason}`, { cause });
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removeIfPresent(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
