/**
 * A buffer for commits that arrive in any order while a tail is read from the log.
 *
 * @module
 */

import { type Commit, readSegmentHeader } from "../log/mod.ts";

/** Maximum memory of buffered commits, in bytes; the log has what is dropped beyond it. */
const MAX_BYTES = 2 * 1024 * 1024;

/** Memory of a buffered commit beside its segments, in bytes. */
const COMMIT_OVERHEAD_BYTES = 512;

/** Commits of one pipeline, in the order of their arrival until they are released. */
export class ReorderBuffer {
  #commits: Commit[] = [];
  #bytes = 0;
  #hasDropped = false;

  /** Adds a commit, and drops the first ones if they exceed the limit. */
  add(commit: Commit): void {
    this.#commits.push(commit);
    this.#bytes += sizeOf(commit);
    while (this.#bytes > MAX_BYTES) {
      this.#bytes -= sizeOf(this.#commits.shift()!);
      this.#hasDropped = true;
    }
  }

  /**
   * Passes the commits of a log on, in the order of their events, for as long as
   * they are appended, and empties the buffer.
   *
   * @param epoch Epoch of the log.
   * @param append Appends a commit; returns false if events before it are missing.
   * @returns Whether all commits that were added were appended. If not, the log
   *   has to be read.
   */
  release(epoch: string, append: (commit: Commit) => boolean): boolean {
    const commits = this.#commits.sort((a, b) => firstOf(a) - firstOf(b));
    const isWhole = !this.#hasDropped;
    this.clear();
    return commits.every((commit) => commit.epoch === epoch && append(commit)) && isWhole;
  }

  /** Empties the buffer. */
  clear(): void {
    this.#commits = [];
    this.#bytes = 0;
    this.#hasDropped = false;
  }
}

function firstOf({ segments }: Commit): number {
  return readSegmentHeader(segments[0]!).first;
}

function sizeOf({ segments }: Commit): number {
  return segments.reduce((sum, segment) => sum + segment.length, COMMIT_OVERHEAD_BYTES);
}
