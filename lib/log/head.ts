/**
 * The head of a pipeline's log: one record that every commit checks and writes.
 * It also holds all that retention needs, so that retention costs no further read.
 *
 * @module
 */

import type { RunEnd } from "../protocol/mod.ts";
import type { KeyCount } from "./key_counts.ts";

/** Retention of a log. */
export interface Retention {
  /** Minimum number of events. */
  events: number;
  /** Minimum age of an event that is trimmed, in milliseconds. */
  ms: number;
  /** Maximum size of all segments, in bytes, whatever the other two ask for. */
  bytes: number;
}

/**
 * A trim point: sequence of the event there, time from which its age counts, and
 * total bytes before it. The time is that of the event, or an earlier one at which
 * the clock was set back: otherwise the event would be kept until that clock has
 * caught up.
 */
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
  /**
   * Sequence of the newest event that was deleted with the pipeline, while sequences
   * go on under a new epoch; absent or 0 without a deletion.
   */
  deleted?: number;
  /** Sequence of the entry that ended the run; absent while it goes on. */
  ended?: number;
  /**
   * Lease of the subscribers of a pipeline that is not written: the time at which
   * one was seen, in milliseconds since the Unix epoch.
   */
  seen?: number;
  /** Counts of idempotency keys, by hour; absent if there are none. */
  keys?: KeyCount[];
  /** Time at which the newest event was accepted, in milliseconds since the Unix epoch. */
  time: number;
  /**
   * Last step back of the times: sequence of the first event after it, and the latest time of
   * all events before it. Absent if no event of before is retained.
   */
  stepped?: [sequence: number, latest: number];
  /** Total size of all segments ever written, in bytes. */
  bytes: number;
  /** Trim points, oldest first. The first one is at `oldest`. Empty if nothing is retained. */
  marks: TrimPoint[];
}

/**
 * Step back of the wall clock up to which events keep the time of their
 * predecessors, in milliseconds. A larger one shows that the earlier times were
 * wrong, and would freeze all later ones for as long.
 */
const MAX_FROZEN_MS = 60 * 60 * 1000;

/**
 * Lifetime of the stored head of a pipeline without events, in milliseconds. Such a
 * head is stored only if a commit was fenced out, or by an older version.
 */
export const UNWRITTEN_LIFETIME_MS: number = 72 * 60 * 60 * 1000;

/** Number of trim points that divide what the retention asks for. */
const TRIM_POINTS = 8;

/** Number of bytes of an epoch. */
export const EPOCH_BYTES = 8;

/** Returns the epoch of {@linkcode EPOCH_BYTES} bytes. */
export function formatEpoch(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Returns a new epoch, which nobody can guess. */
export function mintEpoch(): string {
  return formatEpoch(crypto.getRandomValues(new Uint8Array(EPOCH_BYTES)));
}

/** Returns the head of a new log. The time is in milliseconds since the Unix epoch. */
export function newHead(epoch: string, time: number): Head {
  return { epoch, sequence: 0, oldest: 1, cleared: 0, time, bytes: 0, marks: [] };
}

/**
 * Returns the time of the events that follow a head: that of the wall clock, but
 * never before their predecessors, unless the clock was set back by more than an
 * hour. There alone the times of a log decrease.
 */
export function timeAfter(head: Head, now: number): number {
  return isSetBack(head, now) ? now : Math.max(now, head.time);
}

/** Whether the clock was set back so far that the times of events decrease. */
function isSetBack(head: Head, now: number): boolean {
  return head.time - now > MAX_FROZEN_MS;
}

/**
 * Returns the head after a commit.
 *
 * Events that the retention no longer asks for are trimmed up to a trim point,
 * an eighth of the retention at a time, so at least what it asks for is kept.
 *
 * @param commit Number and bytes of its events, and the time of the wall clock.
 */
export function advanceHead(
  head: Head,
  { count, bytes, now }: { count: number; bytes: number; now: number },
  retention: Retention,
): Head {
  const sequence = head.sequence + count;
  const total = head.bytes + bytes;
  // After a step back, what is retained has the age of zero now, so that it is
  // kept for as long as the retention asks for, and no longer.
  const marks = head.marks.map(([first, then, before]): TrimPoint => {
    return [first, Math.min(then, now), before];
  });
  const last = marks.at(-1);
  if (
    last === undefined ||
    total - last[2] > retention.bytes / TRIM_POINTS ||
    (sequence - last[0] >= retention.events / TRIM_POINTS &&
      now - last[1] >= retention.ms / TRIM_POINTS)
  ) {
    marks.push([head.sequence + 1, now, head.bytes]);
  }
  // The newest trim point that is old enough and has enough events after it, or
  // the oldest with which the bytes fit, whichever is newer.
  let cut = 0;
  for (const [index, [first, then]] of marks.entries()) {
    const spare = sequence - first + 1 >= retention.events && now - then >= retention.ms;
    const over = index > 0 && total - marks[index - 1]![2] > retention.bytes;
    if (spare || over) cut = index;
  }
  const kept = marks.slice(cut);
  const oldest = kept[0]![0];
  const time = timeAfter(head, now);
  const next: Head = { ...head, sequence, oldest, time, bytes: total, marks: kept };
  if (isSetBack(head, now)) {
    next.stepped = [head.sequence + 1, Math.max(head.time, head.stepped?.[1] ?? 0)];
  }
  if (next.stepped && next.stepped[0] <= oldest) delete next.stepped;
  return next;
}

/** Returns the head after a clear: no event is retained, while epoch and sequences go on. */
export function clearHead(head: Head): Head {
  const { stepped: _stepped, ...rest } = head;
  const oldest = head.sequence + 1;
  return { ...rest, oldest, cleared: oldest, marks: [] };
}

/**
 * Returns the head after a deletion: as after a clear, but under a new epoch, and
 * without the lease of a subscriber, idempotency keys and the end of a run.
 */
export function deleteHead(head: Head): Head {
  const { seen: _seen, keys: _keys, ended: _ended, ...rest } = clearHead(head);
  return { ...rest, epoch: mintEpoch(), deleted: head.sequence };
}

/** Returns the end of the run, or `null` while it goes on. */
export function endOf({ ended, deleted = 0 }: Head): RunEnd | null {
  return ended === undefined ? null : { sequence: ended, events: ended - 1 - deleted };
}

/**
 * Returns the sequence of the newest event that publishers sent. Whoever goes on after it
 * is told of the end of the run, which comes next.
 */
export function lastPublished({ ended, sequence }: Head): number {
  return ended === undefined ? sequence : ended - 1;
}

/** Whether a pipeline was deleted, and not written since. */
export function isDeleted({ deleted = 0, sequence }: Head): boolean {
  return deleted > 0 && deleted === sequence;
}

/**
 * Returns the time at which a pipeline was last written or seen to have a
 * subscriber, since it was deleted: 0 if it was not.
 */
export function lastUse(head: Head): number {
  return Math.max(isDeleted(head) ? 0 : head.time, head.seen ?? 0);
}
