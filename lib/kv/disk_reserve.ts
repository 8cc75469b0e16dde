/**
 * Room on the disk of a store, kept for deletions: SQLite writes to delete, so a full
 * disk would refuse what makes room on it.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import { FILE_MODE } from "./file_lock.ts";

/**
 * Size of the reserve, in bytes. A deletion is appended to the WAL, which has 4 MiB
 * and goes on growing until all of it fits into the database.
 */
const RESERVE_BYTES = 6 * 1024 * 1024;

/** Time after which the reserve is filled again, in milliseconds. */
const REFILL_MS = 60_000;

/** Bytes written at once. */
const PART_BYTES = 65_536;

/** A file beside the store that is removed for a deletion on a full disk. */
export class DiskReserve implements Disposable {
  readonly #path: string;
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  #timer: Disposable | null = null;
  #isFilled = false;
  #isReported = false;
  #closed = false;

  private constructor(path: string, runtime: Pick<Runtime, "clock" | "report">) {
    this.#path = `${path}.reserve`;
    this.#runtime = runtime;
  }

  /** Fills the reserve of a store in a file. A disk without room for it is reported. */
  static async fill(
    path: string,
    runtime: Pick<Runtime, "clock" | "report">,
  ): Promise<DiskReserve> {
    const reserve = new DiskReserve(path, runtime);
    await reserve.#fill();
    return reserve;
  }

  async #fill(): Promise<void> {
    try {
      if (!await this.#isComplete()) await this.#write();
      this.#isFilled = true;
      this.#isReported = false;
    } catch (error) {
      await this.#remove();
      if (!this.#isReported) {
        this.#isReported = true;
        const mebibytes = RESERVE_BYTES / 1024 / 1024;
        this.#runtime.report(
          `The disk has no room for ${this.#path} (${mebibytes} MiB), with which a DELETE works ` +
            "when the disk is full",
          error,
        );
      }
      this.#refillLater();
    }
  }

  /** Whether a process that was killed left the reserve as it is to be. */
  async #isComplete(): Promise<boolean> {
    try {
      return (await Deno.stat(this.#path)).size >= RESERVE_BYTES;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  async #write(): Promise<void> {
    // Random, so that no file system compresses it.
    const part = crypto.getRandomValues(new Uint8Array(PART_BYTES));
    using file = await Deno.open(this.#path, {
      write: true,
      create: true,
      truncate: true,
      mode: FILE_MODE,
    });
    for (let bytes = 0; bytes < RESERVE_BYTES;) bytes += await file.write(part);
  }

  async #remove(): Promise<void> {
    try {
      await Deno.remove(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #refillLater(): void {
    if (this.#closed) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#runtime.clock.after(REFILL_MS, () => this.#fill());
  }

  /** Frees room. Returns false if there was none to free. */
  async release(): Promise<boolean> {
    if (!this.#isFilled) return false;
    this.#isFilled = false;
    await this.#remove();
    this.#runtime.report("The disk is full: released the reserve for a deletion");
    this.#refillLater();
    return true;
  }

  /** Gives the room back. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    if (this.#isFilled) Deno.removeSync(this.#path);
    this.#isFilled = false;
  }
}

/** Whether an error says that a disk is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("disk is full");
}
