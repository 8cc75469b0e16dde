/**
 * Compares the number of subscribers with the number of files that the process
 * may have open: each connection is one.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
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
 * const fail = () => { throw Object.assign(new Error("Too many open files"), { code: "EMFILE" }) };
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

/**
 * Opens files, and closes them. Returns their number if the limit was reached, else `null`:
 * another error tells nothing about the limit.
 */
function countOpenFiles(count: number, open: OpenFile): number | null {
  using files = new DisposableStack();
  for (let opened = 0; opened < count; opened++) {
    try {
      files.use(open());
    } catch (error) {
      return isLimit(error) ? opened : null;
    }
  }
  return null;
}

/** Whether an error is that of too many open files: of the process, or of the machine. */
function isLimit(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "EMFILE" || code === "ENFILE";
}

/**
 * Finds a file that this program may read without asking its user: `deno.json`, or the
 * executable that contains the program, whose modules are no files of the system.
 *
 * The runtime resolves links in each folder of a path whenever it opens it, and turns a URL
 * into a path first: this path takes a quarter less time than the URL of this module.
 */
function findFile(): OpenFile | null {
  const url = new URL("../../deno.json", import.meta.url);
  if (url.protocol !== "file:") return null;
  const path = Deno.build.standalone ? Deno.execPath() : fileURLToPath(url);
  const { state } = Deno.permissions.querySync({ name: "read", path });
  return state === "granted" ? () => Deno.openSync(path) : null;
}
