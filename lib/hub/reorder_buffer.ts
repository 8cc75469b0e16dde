/**
 * Commits that arrive while a tail is read from the log.
 *
 * @module
 */

import { type Commit, readSegmentHeader } from "../log/mod.ts";

/** Bytes of commits that are kept; the log has what is dropped beyond them. */
const MAX_BYTES = 2 * 1024 * 1024;

/** Commits of one pipeline, in the order of their arrival until they are released. */
export class ReorderBuffer {
  #commits: Commit[] = [];
  #hasDropped = false;

  /**
   * Keeps a commit, and drops the first ones where they are too many bytes.
   *
   * @param commit The commit.
   */
  add(commit: Commit): void {
    this.#commits.push(commit);
    while (sizeOf(this.#commits) > MAX_BYTES) {
      this.#commits.shift();
      this.#hasDropped = true;
    }
  }

  /**
   * Hands out the commits of a log, the first event first, for as long as they
   * are taken, and forgets all.
   *
   * @param epoch The epoch of the log.
   * @param append Takes a commit; false if something is missing before it.
   * @returns Whether all that were added were taken. If not, the log has to be read.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   * import { packSegments } from "../log/mod.ts";
   *
   * const events = [{ channel: "events", payload: new TextEncoder().encode("1") }];
   * const segments = packSegments({ token: 0n, time: 0, first: 8 }, events);
   * const buffer = new ReorderBuffer();
   * buffer.add({ pipeline: "p_aBcDeF", epoch: "AAECAwQFBgc", cleared: 0, segments });
   * equal(buffer.release("AAECAwQFBgc", () => false), false);
   * equal(buffer.release("AAECAwQFBgc", () => false), true, "all are forgotten");
   * ```
   */
  release(epoch: string, append: (commit: Commit) => boolean): boolean {
    const commits = this.#commits.sort((a, b) => firstOf(a) - firstOf(b));
    const isWhole = !this.#hasDropped;
    this.clear();
    return commits.every((commit) => commit.epoch === epoch && append(commit)) && isWhole;
  }

  /** Forgets all commits. */
  clear(): void {
    this.#commits = [];
    this.#hasDropped = false;
  }
}

function firstOf({ segments }: Commit): number {
  return readSegmentHeader(segments[0]!).first;
}

function sizeOf(commits: readonly Commit[]): number {
  let bytes = 0;
  for (const { segments } of commits) {
    for (const segment of segments) bytes += segment.length;
  }
  return bytes;
}
