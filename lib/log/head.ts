/**
 * A pipeline's head: what its log knows of itself, kept in one record that
 * every commit checks and writes, so that retention costs no further read.
 *
 * @module
 */

/** What a log keeps of a pipeline behind its history. */
export interface Retention {
  /** At least this many events. */
  events: number;
  /** At least everything younger than this, in milliseconds. */
  ms: number;
  /** But never more than this many bytes of segments. */
  bytes: number;
}

/** A place where the log may be cut: sequence, time and bytes of all before it. */
export type TrimPoint = [sequence: number, time: number, bytesBefore: number];

/** The record of a pipeline. */
export interface Head {
  /** Which log of the pipeline this is. */
  epoch: string;
  /** The sequence of the newest event, 0 if there was none yet. */
  sequence: number;
  /** The sequence of the oldest event retained; one more than `sequence` if none is. */
  oldest: number;
  /** What `oldest` was set to by the last clear, 0 without one. */
  cleared: number;
  /** When the newest event was accepted, in milliseconds since the Unix epoch. */
  time: number;
  /** The bytes of all segments ever written. */
  bytes: number;
  /** Where the log may be cut, oldest first. */
  marks: TrimPoint[];
}

/** The share of the retention after which a new mark is set. */
const TRIM_POINTS = 8;

/** A new epoch, which nobody can guess. */
export function mintEpoch(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

/**
 * The head of a log that nothing was written to yet.
 *
 * @param epoch Which log it is.
 * @param time Now, in milliseconds since the Unix epoch.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(newHead("AAECAwQFBgc", 0).oldest, 1);
 * ```
 */
export function newHead(epoch: string, time: number): Head {
  return { epoch, sequence: 0, oldest: 1, cleared: 0, time, bytes: 0, marks: [] };
}

/**
 * The head after a commit of `count` events. What the retention no longer asks
 * for is given up in whole marks, an eighth of the retention at a time, so at
 * least what it asks for is kept.
 *
 * @param head The head before.
 * @param commit How many events, how many bytes, and when: never before `head.time`.
 * @param retention What to keep.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const head = newHead("AAECAwQFBgc", 0);
 * const next = advanceHead(head, { count: 3, bytes: 120, time: 5 }, { events: 1000, ms: 60_000, bytes: 2 ** 25 });
 * equal(next.sequence, 3);
 * ```
 */
export function advanceHead(
  head: Head,
  { count, bytes, time }: { count: number; bytes: number; time: number },
  retention: Retention,
): Head {
  const sequence = head.sequence + count;
  const total = head.bytes + bytes;
  const marks = head.marks.slice();
  const last = marks.at(-1);
  if (
    last === undefined ||
    total - last[2] > retention.bytes / TRIM_POINTS ||
    (sequence - last[0] >= retention.events / TRIM_POINTS &&
      time - last[1] >= retention.ms / TRIM_POINTS)
  ) {
    marks.push([head.sequence + 1, time, head.bytes]);
  }
  // The newest mark that is old enough and has enough behind it, or the first
  // with which the bytes fit, whichever is newer.
  let cut = 0;
  for (const [index, [first, then]] of marks.entries()) {
    const spare = sequence - first + 1 >= retention.events && time - then >= retention.ms;
    const over = index > 0 && total - marks[index - 1]![2] > retention.bytes;
    if (spare || over) cut = index;
  }
  const oldest = cut > 0 ? Math.max(head.oldest, marks[cut]![0]) : head.oldest;
  return { ...head, sequence, oldest, time, bytes: total, marks: marks.slice(cut) };
}

/**
 * The head after a clear: everything so far is given up, while epoch and
 * sequences go on.
 *
 * @param head The head before.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const head = { ...newHead("AAECAwQFBgc", 0), sequence: 9 };
 * equal(clearHead(head).oldest, 10);
 * ```
 */
export function clearHead(head: Head): Head {
  const oldest = head.sequence + 1;
  return { ...head, oldest, cleared: oldest, marks: [] };
}
