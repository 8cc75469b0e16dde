/**
 * The head of a pipeline's log: one record that every commit checks and writes.
 * It also holds all that retention needs, so that retention costs no further read.
 *
 * @module
 */

/** Retention of a log. */
export interface Retention {
  /** Minimum number of events. */
  events: number;
  /** Minimum age of an event that is trimmed, in milliseconds. */
  ms: number;
  /** Maximum size of all segments, in bytes, whatever the other two ask for. */
  bytes: number;
}

/** A trim point: sequence and time of the event there, and total bytes before it. */
export type TrimPoint = [sequence: number, time: number, bytesBefore: number];

/** The head of a log, as it is stored. */
export interface Head {
  /** Identifies this log of the pipeline: another one, on a new store, has another epoch. */
  epoch: string;
  /** Sequence of the newest event; 0 if there was none yet. */
  sequence: number;
  /** Sequence of the oldest event retained; `sequence` + 1 if none is. */
  oldest: number;
  /** Value of `oldest` after the last clear; 0 without one. */
  cleared: number;
  /** Time at which the newest event was accepted, in milliseconds since the Unix epoch. */
  time: number;
  /** Total size of all segments ever written, in bytes. */
  bytes: number;
  /** Trim points, oldest first. The first one is at `oldest`. Empty if nothing is retained. */
  marks: TrimPoint[];
}

/** Number of trim points that divide what the retention asks for. */
const TRIM_POINTS = 8;

/** Returns a new epoch, which nobody can guess. */
export function mintEpoch(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

/** Returns the head of a new log. The time is in milliseconds since the Unix epoch. */
export function newHead(epoch: string, time: number): Head {
  return { epoch, sequence: 0, oldest: 1, cleared: 0, time, bytes: 0, marks: [] };
}

/**
 * Returns the head after a commit.
 *
 * Events that the retention no longer asks for are trimmed up to a trim point,
 * an eighth of the retention at a time, so at least what it asks for is kept.
 *
 * @param commit Number and bytes of its events, and its time: never before `head.time`.
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
  // The newest trim point that is old enough and has enough events after it, or
  // the oldest with which the bytes fit, whichever is newer.
  let cut = 0;
  for (const [index, [first, then]] of marks.entries()) {
    const spare = sequence - first + 1 >= retention.events && time - then >= retention.ms;
    const over = index > 0 && total - marks[index - 1]![2] > retention.bytes;
    if (spare || over) cut = index;
  }
  const kept = marks.slice(cut);
  return { ...head, sequence, oldest: kept[0]![0], time, bytes: total, marks: kept };
}

/** Returns the head after a clear: no event is retained, while epoch and sequences go on. */
export function clearHead(head: Head): Head {
  const oldest = head.sequence + 1;
  return { ...head, oldest, cleared: oldest, marks: [] };
}
