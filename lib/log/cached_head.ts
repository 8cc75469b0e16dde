/**
 * The head that the next commit of a pipeline follows: what its writer knows of it
 * since the last commit, or reads.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { VersionedHead } from "./commit.ts";
import type { Head } from "./head.ts";
import { headKey } from "./keys.ts";
import { renewIfRolledBack, reportRollback } from "./rollback.ts";
import type { HeadReader } from "./unwritten.ts";

/** Options for {@linkcode CachedHead}. */
export interface CachedHeadOptions {
  /** The store. */
  kv: KvConnection;
  /** Reader of the heads, those of unwritten pipelines included. */
  headReader: HeadReader;
  /** Clock for deadlines, and reporter of a rollback. */
  runtime: Pick<Runtime, "clock" | "report">;
}

/** Cached head of one pipeline. Deadlines are in milliseconds of the monotonic clock. */
export class CachedHead {
  readonly #pipeline: string;
  readonly #options: CachedHeadOptions;
  /** `null` if it has to be read. */
  #known: VersionedHead | null = null;
  /** The newest event that was committed here. */
  #newest: Position | null = null;
  /** Whether the head that was read last is older, and has a new epoch. */
  #isRolledBack = false;

  constructor(pipeline: string, options: CachedHeadOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
  }

  /** Returns the head, and reads it unless it is known. */
  async get(until: number): Promise<VersionedHead> {
    return this.#known ??= await this.#read(until);
  }

  /** Reads the head again, and returns whether it has not changed. */
  async isCurrent(until: number): Promise<boolean> {
    const before = this.#known;
    this.#known = await this.#read(until);
    return before !== null && isSameVersion(this.#known.checks, before.checks);
  }

  async #read(until: number): Promise<VersionedHead> {
    const { headReader, kv, runtime: { clock } } = this.#options;
    const read = await headReader.read(
      (use) => kv.call(use, { ms: until - clock.monotonic() }),
      this.#pipeline,
    );
    return this.#checkRollback(read);
  }

  /** Returns a head that was read as the next commit follows it. */
  #checkRollback(read: VersionedHead): VersionedHead {
    const checked = renewIfRolledBack(read, this.#newest);
    this.#isRolledBack = checked !== read;
    return checked;
  }

  /** Takes a head that another read has found. */
  setRead(head: Head, { key, versionstamp }: Deno.AtomicCheck): void {
    this.#known = this.#checkRollback({ head, checks: [{ key, versionstamp }] });
  }

  /** Takes a head that was written. */
  setWritten(head: Head, versionstamp: string): void {
    this.#known = { head, checks: [{ key: headKey(this.#pipeline), versionstamp }] };
  }

  /** Takes a head that is known not to have changed since, or `null`: then it has to be read. */
  set(head: VersionedHead | null): void {
    this.#known = head;
  }

  /**
   * Notes a commit that was applied, and tells the operator if it began a new epoch
   * because the store was rolled back.
   *
   * @param base The head that it followed.
   * @param next The head that it wrote.
   */
  noteCommit(base: Head, { epoch, sequence }: Head): void {
    if (this.#isRolledBack) {
      reportRollback(this.#options.runtime, this.#pipeline, this.#newest!, base);
      this.#isRolledBack = false;
    }
    this.#newest = { epoch, sequence };
  }
}

/** Whether the records that a head was read from are those of another read. */
export function isSameVersion(
  checks: readonly Deno.AtomicCheck[],
  others: readonly { versionstamp: string | null }[],
): boolean {
  return checks.length === others.length &&
    checks.every(({ versionstamp }, index) => versionstamp === others[index]!.versionstamp);
}
