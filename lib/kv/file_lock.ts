/**
 * The lock of a store's file: one process at a time, and nobody else reads it.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";

/** Permissions of the folder: its owner alone. */
const FOLDER_MODE = 0o700;

/** Permissions of a file: its owner alone. SQLite gives its own files those of the main one. */
export const FILE_MODE = 0o600;

/** Files that belong to a store, by their endings. */
export const FILE_ENDINGS = ["", "-wal", "-shm", ".lock"] as const;

/** A lock on a file, until it is disposed. */
export interface FileLock extends Disposable {
  /** The locked file beside the store. */
  file: Pick<Deno.FsFile, "stat">;
}

/**
 * Locks a file against other processes, and creates it if it is missing. It and
 * the files beside it become readable for their owner only, and so does a folder
 * that is created. A folder that exists is left alone: it may be that of others.
 *
 * @param runtime Reporter of a file whose permissions cannot be changed.
 * @throws {RunnelError} `storage-unusable` if another process has locked it.
 * @throws The error of the file system.
 */
export async function lockFile(
  path: string,
  runtime: Pick<Runtime, "report">,
): Promise<FileLock> {
  await Deno.mkdir(folderOf(path), { recursive: true, mode: FOLDER_MODE });
  const name = `${path}.lock`;
  const file = await Deno.open(name, { read: true, write: true, create: true, mode: FILE_MODE });
  // Deno 2.5 has no tryLock: nothing is locked there.
  if (await file.tryLock?.(true) === false) {
    file.close();
    const holder = (await Deno.readTextFile(name)).trim();
    throw new RunnelError(
      "storage-unusable",
      `Cannot start: ${path} is in use by process ${holder}. Stop that one, or name another file ` +
        "in RUNNEL_KV",
    );
  }
  const lock = {
    file,
    [Symbol.dispose]: () => {
      // Closing alone leaves the file locked for as long as a child process that
      // was just forked has it open.
      file.unlockSync?.();
      file.close();
    },
  };
  try {
    await file.truncate();
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    // Only while no connection is open: to close a file drops all locks that
    // this process has on it, those of SQLite, too.
    await createPrivately(path);
    await tighten(path, runtime);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  return lock;
}

/** Creates an empty file, unless there is one. */
async function createPrivately(path: string): Promise<void> {
  try {
    (await Deno.open(path, { write: true, createNew: true, mode: FILE_MODE })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** Takes the permissions of all but the owner from the files of a store. */
async function tighten(path: string, { report }: Pick<Runtime, "report">): Promise<void> {
  if (Deno.build.os === "windows") return;
  for (const ending of FILE_ENDINGS) {
    const name = path + ending;
    try {
      const { isFile, mode } = await Deno.stat(name);
      if (isFile && mode !== null && (mode & 0o077) !== 0) await Deno.chmod(name, FILE_MODE);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      report(`Cannot make ${name} readable for its owner only`, error);
    }
  }
}

/** Returns the folder of a path. */
export function folderOf(path: string): string {
  return path.replace(/\/?[^/]*$/, "") || (path.startsWith("/") ? "/" : ".");
}
