/**
 * Commits that arrived before those that they follow.
 *
 * @module
 */

import type { Commit } from "./commit.ts";
import { readSegmentHeader } from "./segment.ts";

/** Bytes of commits that are kept; what is beyond, the log has. */
const MAX_BYTES = 2 * 1024 * 1024;

/** Commits of one pipeline that wait for what is missing before them. */
export class EarlyCommits {
  #commits: Commit[] = [];

  /** How many wait. */
  get size(): number {
    return this.#commits.length;
  }

  /**
   * Keeps a commit, and gives up the first ones where they are too much.
   *
   * @param commit The commit.
   */
  add(commit: Commit): void {
    this.#commits.push(commit);
    while (sizeOf(this.#commits) > MAX_BYTES) this.#commits.shift();
  }

  /**
   * Hands out the commits of a log, the first event first, for as long as they
   * are taken. Those of other logs are given up.
   *
   * @param epoch Which log.
   * @param append Takes a commit, or says that something is missing before it.
   * @returns Whether all were taken.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   * import { packSegments } from "./segment.ts";
   *
   * const events = [{ channel: "events", payload: new TextEncoder().encode("1") }];
   * const segments = packSegments({ token: 0n, time: 0, first: 8 }, events);
   * const early = new EarlyCommits();
   * early.add({ pipeline: "p_aBcDeF", epoch: "AAECAwQFBgc", cleared: 0, segments });
   * equal(early.release("AAECAwQFBgc", () => false), false);
   * equal(early.size, 1);
   * ```
   */
  release(epoch: string, append: (commit: Commit) => boolean): boolean {
    this.#commits = this.#commits.filter((commit) => commit.epoch === epoch)
      .sort((a, b) => firstOf(a) - firstOf(b));
    while (this.#commits.length > 0 && append(this.#commits[0]!)) this.#commits.shift();
    return this.#commits.length === 0;
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
