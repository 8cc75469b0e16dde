/**
 * Notices that the file of a store is no longer the one that was opened: deleted,
 * moved or replaced, it would take events that nobody finds again.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import { FILE_ENDINGS, type FileLock } from "./file_lock.ts";

/** Interval between two checks, in milliseconds: events may be lost for that long. */
const CHECK_MS = 1000;

/** Check that a store is still the one that was opened. Disposing it ends its checks. */
export interface StoreGuard extends Disposable {
  /** Error with which calls are refused; `null` while the store is the one that was opened. */
  readonly error: RunnelError | null;
  /** Checks now. */
  check(): Promise<void>;
  /** Suspends the checks during work that replaces the store and opens it again. */
  suspend(work: () => Promise<void>): Promise<void>;
}

/** Identity of a file on its machine. */
type Identity = Pick<Deno.FileInfo, "dev" | "ino">;

/** Guard of a file. */
export class FileGuard implements StoreGuard {
  /** Error with which calls are refused; `null` while the files are those that were opened. */
  error: RunnelError | null = null;
  readonly #path: string;
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  /** The files that were opened, by their endings. Those of SQLite appear with the first write. */
  readonly #opened = new Map<string, Identity>();
  #timer: Disposable | null = null;
  /** Number of replacements by this process that have begun or ended: odd during one. */
  #replacements = 0;

  private constructor(path: string, runtime: Pick<Runtime, "clock" | "report">) {
    this.#path = path;
    this.#runtime = runtime;
  }

  /**
   * Starts to guard a file that was just opened.
   *
   * @param lock The lock on it.
   * @param runtime Clock for the checks, and reporter of what they find.
   */
  static async start(
    path: string,
    { file }: FileLock,
    runtime: Pick<Runtime, "clock" | "report">,
  ): Promise<FileGuard> {
    const guard = new FileGuard(path, runtime);
    guard.#opened.set("", await Deno.stat(path));
    guard.#opened.set(".lock", await file.stat());
    await guard.check();
    guard.#timer = runtime.clock.every(CHECK_MS, () => guard.check());
    return guard;
  }

  /** Compares the files with those that were opened. */
  async check(): Promise<void> {
    const replacements = this.#replacements;
    if (replacements % 2 === 1) return;
    const changed = await this.#findChanged();
    // It compared files of before a replacement with those of after it.
    if (replacements !== this.#replacements) return;
    const before = this.error;
    this.error = changed === null ? null : new RunnelError(
      "log-unavailable",
      "Cannot reach the log: its file was deleted, moved or replaced while the service runs. " +
        "Nothing was stored; the operator has to restart the service",
    );
    if (changed === null && before) {
      this.#runtime.report(`${this.#path} is back: it is used again`, undefined, { level: "info" });
    }
    if (changed !== null && !before) {
      this.#runtime.report(this.#describe(changed), undefined, { level: "error" });
    }
  }

  /** Suspends the checks during work that replaces the file and opens it again. */
  async suspend(work: () => Promise<void>): Promise<void> {
    this.#replacements++;
    try {
      await work();
    } finally {
      const lock = this.#opened.get(".lock")!;
      this.#opened.clear();
      this.#opened.set(".lock", lock).set("", await Deno.stat(this.#path));
      this.#replacements++;
    }
  }

  /** Returns the ending of a file that is missing or another one; `null` if all are the same. */
  async #findChanged(): Promise<string | null> {
    for (const ending of FILE_ENDINGS) {
      const opened = this.#opened.get(ending);
      let found: Identity | null = null;
      try {
        found = await Deno.stat(this.#path + ending);
      } catch (error) {
        // A disk that cannot be asked says nothing about the file.
        if (!(error instanceof Deno.errors.NotFound)) continue;
      }
      if (opened ? found?.ino !== opened.ino || found?.dev !== opened.dev : false) return ending;
      if (found) this.#opened.set(ending, found);
    }
    return null;
  }

  #describe(ending: string): string {
    const name = this.#path + ending;
    const danger = ending === ".lock"
      ? `another process could open ${this.#path}, too`
      : "what is stored now would be lost";
    return `${name} was deleted, moved or replaced while this process uses it, and ${danger}. ` +
      "All requests that need the log are refused. Put the same file back, or stop this process " +
      "and start it again; with a backup, run `deno task restore FILE` in between";
  }

  /** Ends the checks. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}
