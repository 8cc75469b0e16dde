/**
 * The feeds of one stream, which take turns.
 *
 * @module
 */

import type { Position } from "../protocol/mod.ts";
import type { Feed, FeedOptions, FeedState } from "./feed.ts";

/** Feeds of one stream: one for each of its pipelines, of which a busy one does not hold up others. */
export class FeedTurns {
  readonly #feeds: readonly Feed[];
  /** Index of the feed whose turn it is. */
  #turn = 0;
  /** Feed that waits for the log, if any did when all were asked last. */
  #waiting: { feed: Feed; state: Exclude<FeedState, "caught-up"> } | null = null;
  /** Whether the log is being read, for one feed at a time. */
  #isReading = false;
  /** Sequence after which each feed ends, once the stream is ending: during replay or live. */
  #endAfter: number[] | null = null;

  constructor(feeds: readonly Feed[]) {
    this.#feeds = feeds;
  }

  /** Start of the stream, for the metrics: unknown if that of any feed is. */
  get start(): "unknown" | "resumed" | "fresh" {
    const has = (isSuch: (resume: FeedOptions["resume"]) => boolean) =>
      this.#feeds.some(({ resume }) => isSuch(resume));
    if (has((resume) => resume === "unknown")) return "unknown";
    return has((resume) => typeof resume === "number") ? "resumed" : "fresh";
  }

  /** Positions after which they began in the logs that they read now. */
  get starts(): Position[] {
    return this.#feeds.map(({ start }) => start);
  }

  /** IDs of the pipelines, for messages to the operator. */
  get pipelines(): string {
    return this.#feeds.map(({ pipeline }) => pipeline).join(" ");
  }

  /** Whether each run has ended, and the client was told. */
  get haveEnded(): boolean {
    return this.#feeds.every(({ hasEnded }) => hasEnded);
  }

  /** Whether any has sent an event, a gap or the end. */
  get haveNews(): boolean {
    return this.#feeds.some(({ hasNews }) => hasNews);
  }

  /** Whether they end with what the sources had when {@linkcode FeedTurns.end} was called. */
  get areEnding(): boolean {
    return this.#endAfter !== null;
  }

  /** Whether the log is being read for one of them. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Whether one of them waits for the log. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  /** Announces their starts, and returns the ID of them: that of the last one contains all. */
  announceStarts(): string {
    return this.#feeds.map((feed) => feed.announceStart()).at(-1)!;
  }

  /** Returns the position in all pipelines, if the client was not told of it. */
  takePosition(): string | undefined {
    // Each has reached its own, which the ID of the last one contains.
    return this.#feeds.reduce<string | undefined>(
      (id, feed) => feed.takePosition() ?? id,
      undefined,
    );
  }

  /** Has them end with what the sources have now. */
  end(): void {
    this.#endAfter ??= this.#feeds.map(({ newest }) => newest);
  }

  /** Returns the next bytes of the first feed in turn that has some, if any. */
  next(): { feed: Feed; bytes: Uint8Array } | null {
    this.#waiting = null;
    const { length } = this.#feeds;
    for (let i = 0; i < length; i++) {
      const index = (this.#turn + i) % length;
      const feed = this.#feeds[index]!;
      const next = feed.next(this.#endAfter?.[index] ?? null);
      if (typeof next !== "string") {
        // The marker follows its replay.
        this.#turn = feed.isAtMarker ? index : (index + 1) % length;
        return { feed, bytes: next };
      }
      if (next !== "caught-up") this.#waiting ??= { feed, state: next };
    }
    return null;
  }

  /**
   * Reads the log for the feed that waits for it, unless another one has a page or they end.
   *
   * @returns Whether it did.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async read(): Promise<boolean> {
    const { feed, state } = this.#waiting ?? {};
    if (!feed || this.#isReading || this.areEnding) return false;
    if (this.#feeds.some((other) => other !== feed && other.hasPage)) return false;
    this.#isReading = true;
    try {
      await feed.read(state!);
      return true;
    } finally {
      this.#isReading = false;
    }
  }

  /** Closes them all. */
  close(): void {
    for (const feed of this.#feeds) feed.close();
  }
}
