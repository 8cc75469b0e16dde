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

/** Room on a disk that the largest publish needs, with what the store writes beside it, in bytes. */
const PUBLISH_BYTES = 1024 * 1024;

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
  #trying: Promise<void> | null = null;

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
    await writeRandom(this.#path, RESERVE_BYTES);
  }

  async #remove(): Promise<void> {
    await removeIfThere(this.#path);
  }

  /**
   * Checks that the disk has room for a publish, by writing as much beside the store.
   * SQLite may have some room in its files, so that it takes events for a while after the
   * disk is full.
   *
   * @throws The error of a disk that is full.
   */
  assertRoom(): Promise<void> {
    return this.#trying ??= this.#tryRoom().finally(() => this.#trying = null);
  }

  async #tryRoom(): Promise<void> {
    const path = `${this.#path}.try`;
    try {
      await writeRandom(path, PUBLISH_BYTES);
    } catch (error) {
      // Whether it may write there at all is told at the start.
      if (isDiskFull(error)) throw error;
    } finally {
      await removeIfThere(path);
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

/** Writes a file of random bytes, which no file system compresses. */
async function writeRandom(path: string, size: number): Promise<void> {
  const part = crypto.getRandomValues(new Uint8Array(PART_BYTES));
  using file = await Deno.open(path, {
    write: true,
    create: true,
    truncate: true,
    mode: FILE_MODE,
  });
  for (let bytes = 0; bytes < size;) bytes += await file.write(part);
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Errors of a full disk: of SQLite, of Linux and macOS, a quota among them, and of Windows. */
const DISK_FULL = /disk is full|No space left|quota exceeded|not enough space on the disk/i;

/** Whether an error says that a disk is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && DISK_FULL.test(error.message);
}
