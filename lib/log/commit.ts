/**
 * A commit of one pipeline: stores the events of one or more requests, all or
 * none, in one atomic operation that checks and advances the head.
 *
 * @module
 */

import type { RunnelError } from "../base/mod.ts";
import { endEntry, type NewEvent } from "../protocol/mod.ts";
import { advanceHead, endOf, type Head, type Retention, timeAfter } from "./head.ts";
import {
  type AppendPart,
  type IdempotencyRecord,
  type IdempotencyToken,
  KEY_LIFETIME_MS,
} from "./idempotency.ts";
import { addKeys } from "./key_counts.ts";
import { headKey, idempotencyKey, segmentKey } from "./keys.ts";
import { packSegments, readSegmentHeader } from "./segment.ts";

/** Answer to a publish: the position of its events in the log. */
export interface Receipt {
  /** Epoch of the events' IDs. */
  epoch: string;
  /** Sequence of the request's first event. */
  first: number;
  /** Number of events in the request. */
  count: number;
  /** Whether an earlier request with the same idempotency key stored the events. */
  replayed: boolean;
  /** Sequence of the entry that ended the run, if the request asked for that. */
  end?: number;
  /**
   * Number of events of the streaming append that stand, the last of them at `first`, if it
   * is another than was expected. None was stored then.
   */
  stands?: number;
}

/** Outcome of a request: the position of its events, or the reason why it has none. */
export type Outcome = Receipt | RunnelError;

/** Events that were added to a pipeline's log. */
export interface Commit {
  /** The pipeline's ID. */
  pipeline: string;
  /** Epoch of the log. */
  epoch: string;
  /** First sequence after the last clear, as in {@linkcode Head.cleared}; 0 without one. */
  cleared: number;
  /** The events, as segments. */
  segments: Uint8Array[];
}

/** Change of a pipeline's log: a commit, or a clear of all events below `oldest`. */
export type Change = Commit | { pipeline: string; epoch: string; oldest: number };

/** A request to be committed. */
export interface AppendRequest {
  /** Its events, at least one unless it ends the run. */
  readonly events: readonly NewEvent[];
  /** Whether it ends the run, after its events. No other request follows in the same commit. */
  readonly end: boolean;
  /** Token of the request, if its publisher sent an idempotency key. */
  readonly idempotency: IdempotencyToken | undefined;
  /** Streaming append with that key, if it is a part of one. */
  readonly part: AppendPart | undefined;
}

/** Records of the streaming appends that were found for requests. */
export type AppendRecords = ReadonlyMap<AppendRequest, IdempotencyRecord>;

/** A head with the versions of the records that it was read from. */
export interface VersionedHead {
  /** The head, or that of an unwritten pipeline if there is no record. */
  readonly head: Head;
  /**
   * Versions that the next commit checks: first that of the head's record, then,
   * if there is none, those of the records that its epoch is derived from.
   */
  readonly checks: readonly Deno.AtomicCheck[];
}

/** Plan of a commit, which does not change as long as the head does not. */
export interface CommitPlan {
  /** The pipeline's ID. */
  readonly pipeline: string;
  /** The head that the commit follows. */
  readonly base: VersionedHead;
  /** Token of this commit alone, written in each of its segments. */
  readonly token: bigint;
  /** The head after the commit. */
  readonly next: Head;
  /** The events, as segments. */
  readonly segments: Uint8Array[];
  /** Key of the first segment: if the token is found there, the commit was applied. */
  readonly firstKey: Deno.KvKey;
  /** The requests, in the order of their events. */
  readonly requests: readonly AppendRequest[];
  /** The records of their idempotency keys. */
  readonly records: readonly { key: Deno.KvKey; record: IdempotencyRecord }[];
}

/** Options for {@linkcode planCommit}. */
export interface PlanOptions {
  /** Time of the events, in milliseconds since the Unix epoch. */
  now: number;
  /** Retention of the log. */
  retention: Retention;
  /** Records of the appends of which requests are parts. */
  appends: AppendRecords;
}

/**
 * Plans a commit.
 *
 * @param base The head that the commit follows.
 * @param requests The requests, in order, at least one.
 */
export function planCommit(
  pipeline: string,
  base: VersionedHead,
  requests: readonly AppendRequest[],
  { now, retention, appends }: PlanOptions,
): CommitPlan {
  const events = requests.flatMap((request) => request.events);
  const first = base.head.sequence + 1;
  const ended = requests.at(-1)!.end ? first + events.length : undefined;
  if (ended !== undefined) events.push(endEntry(endOf({ ...base.head, ended })!.events));
  const time = timeAfter(base.head, now);
  const token = crypto.getRandomValues(new BigUint64Array(1))[0]!;
  const segments = packSegments({ token, time, first }, events);
  const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
  const next = advanceHead(base.head, { count: events.length, bytes, now }, retention);
  if (ended !== undefined) next.ended = ended;
  const { records, added } = recordsOf(pipeline, requests, { next, first, now, appends });
  if (added > 0 || next.keys) next.keys = addKeys(next.keys ?? [], { added, time, now });
  const firstKey = segmentKey(pipeline, readSegmentHeader(segments[0]!).last);
  return { pipeline, base, token, next, segments, firstKey, requests, records };
}

/** Returns the records of idempotency keys, and the number of those that count as new ones. */
function recordsOf(
  pipeline: string,
  requests: readonly AppendRequest[],
  { next, first, now, appends }: { next: Head; first: number } & Omit<PlanOptions, "retention">,
): Pick<CommitPlan, "records"> & { added: number } {
  const records: { key: Deno.KvKey; record: IdempotencyRecord }[] = [];
  let added = 0;
  for (const request of requests) {
    const { events, end, idempotency, part } = request;
    if (idempotency) {
      const before = appends.get(request);
      const isCounted = before !== undefined && before.until - now > KEY_LIFETIME_MS / 2;
      if (!isCounted) added++;
      const record: IdempotencyRecord = {
        until: isCounted ? before.until : next.time + KEY_LIFETIME_MS,
        fingerprint: idempotency.fingerprint,
        epoch: next.epoch,
        first: before?.first ?? first,
        count: (part?.before ?? 0) + events.length,
        ofPublisher: true,
        ...end && { end: next.ended! },
        ...part && { owner: part.owner, last: first + events.length - 1 },
      };
      records.push({ key: idempotencyKey(pipeline, idempotency.key), record });
    }
    first += events.length;
  }
  return { records, added };
}

/** Adds the checks and mutations of a commit to an atomic operation. */
export function addToOperation(
  operation: Deno.AtomicOperation,
  { pipeline, base, next, segments, records }: CommitPlan,
): void {
  operation.check(...base.checks).set(headKey(pipeline), next);
  for (const segment of segments) {
    operation.set(segmentKey(pipeline, readSegmentHeader(segment).last), segment);
  }
  for (const { key, record } of records) {
    operation.set(key, record, { expireIn: KEY_LIFETIME_MS });
  }
}
