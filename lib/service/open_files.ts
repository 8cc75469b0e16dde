/**
 * Compares the number of subscribers with the number of files that the process
 * may have open: each connection is one.
 *
 * @module
 */

import type { Config } from "../config/mod.ts";

/** Open files for the log, for publishers and for other requests. */
const OTHER_FILES = 200;

/** Files that the program has open at its start, rounded up. */
const FILES_AT_START = 100;

/** Maximum number of files to open for the comparison. It takes about 10 ms for a thousand. */
const MAX_TRIED = 100_000;

/** Opens a file that the caller closes. */
export type OpenFile = () => Disposable;

/**
 * Returns a warning for the operator if the process may not open enough files,
 * otherwise `null`.
 *
 * No permission but that for all of the machine lets a program read its limits.
 * So this opens as many files as there may be, and closes them.
 *
 * @param config Number of subscribers and isolates.
 * @param open Opens a file; `null` if this program may read none.
 *
 * @example
 * ```ts
 * import { match } from "node:assert/strict";
 *
 * const files = Array(1000).fill({ [Symbol.dispose]() {} });
 * const open = () => files.pop() ?? fail();
 * const fail = () => { throw new Error("Too many open files") };
 * match(warnOfOpenFiles({ maxSubscribers: 10_000, isolates: 1 }, open)!, /to 800/);
 * ```
 */
export function warnOfOpenFiles(
  { maxSubscribers, isolates }: Pick<Config, "maxSubscribers" | "isolates">,
  open: OpenFile | null = findFile(),
): string | null {
  const needed = maxSubscribers * isolates + OTHER_FILES;
  if (!open) return null;
  const possible = countOpenFiles(Math.min(needed, MAX_TRIED), open);
  if (possible === null) return null;
  const fitting = Math.max(1, Math.floor((possible - OTHER_FILES) / isolates));
  return `RUNNEL_MAX_SUBSCRIBERS is ${maxSubscribers}${isolates > 1 ? " for each isolate" : ""}, ` +
    `but this process can have ${possible} more files open, and each connection is one. ` +
    `Set it to ${fitting}, or allow ${
      needed + FILES_AT_START
    } open files (ulimit -n, or LimitNOFILE of systemd)`;
}

/** Opens files, and closes them. Returns their number if not all could be opened, else `null`. */
function countOpenFiles(count: number, open: OpenFile): number | null {
  using files = new DisposableStack();
  for (let opened = 0; opened < count; opened++) {
    try {
      files.use(open());
    } catch {
      return opened;
    }
  }
  return null;
}

/**
 * Finds a file that this program may read without asking its user: this module, or the
 * executable that contains it, whose modules are no files of the system.
 */
function findFile(): OpenFile | null {
  const url = new URL(import.meta.url);
  if (url.protocol !== "file:") return null;
  const path = Deno.build.standalone ? Deno.execPath() : url;
  const { state } = Deno.permissions.querySync({ name: "read", path });
  return state === "granted" ? () => Deno.openSync(path) : null;
}
