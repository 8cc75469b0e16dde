/**
 * A commit of one pipeline: the events of one or more requests, all or none, in
 * one atomic operation that checks the head which it advances.
 *
 * @module
 */

import type { Kv } from "../kv/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import { advanceHead, type Head, type Retention } from "./head.ts";
import { KEY_LIFETIME_MS, type Once, type OnceRecord } from "./idempotency.ts";
import { headKey, onceKey, segmentKey } from "./keys.ts";
import { packSegments, readSegmentHeader } from "./segment.ts";

/** What was answered to a request. */
export interface Receipt {
  /** The epoch of the events' IDs. */
  epoch: string;
  /** The sequence of the request's first event. */
  first: number;
  /** How many events the request had. */
  count: number;
  /** Whether an earlier request with the same key did the work. */
  replayed: boolean;
}

/** What a commit added to a pipeline's log. */
export interface Commit {
  /** Whose log. */
  pipeline: string;
  /** Which log of the pipeline. */
  epoch: string;
  /** What the last clear before it left as the oldest event, 0 without one. */
  cleared: number;
  /** The events, as segments. */
  segments: Uint8Array[];
}

/** What happened to a pipeline's log: a commit, or a clear of what is below `oldest`. */
export type Change = Commit | { pipeline: string; epoch: string; oldest: number };

/** A request that is to be committed. */
export interface AppendRequest {
  /** Its events, one at least. */
  events: readonly NewEvent[];
  /** The key of a request that is to happen once. */
  once: Once | undefined;
  /** What its publisher waits for. */
  answer: PromiseWithResolvers<Receipt>;
}

/** A head as last seen; without a versionstamp there is none in the log yet. */
export interface KnownHead {
  /** The head, or what it would be at first. */
  head: Head;
  /** Which version of the record it is. */
  versionstamp: string | null;
}

/** A commit as it is tried, the same at every try on the same head. */
export interface CommitPlan {
  /** Whose log. */
  pipeline: string;
  /** The head that the commit follows. */
  base: KnownHead;
  /** What tells this commit from any other: each of its segments bears it. */
  token: bigint;
  /** The head after the commit. */
  next: Head;
  /** The events, as segments. */
  segments: Uint8Array[];
  /** The key of the first segment: whoever finds our token there knows that we committed. */
  firstKey: Deno.KvKey;
  /** Whose events they are. */
  requests: AppendRequest[];
}

/**
 * Plans a commit.
 *
 * @param pipeline Whose log.
 * @param base The head that it follows.
 * @param requests The requests, in order, one at least.
 * @param options When, in milliseconds since the Unix epoch, and what the log keeps.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { newHead } from "./head.ts";
 *
 * const base = { head: newHead("AAECAwQFBgc", 0), versionstamp: null };
 * const events = [{ channel: "events", payload: new TextEncoder().encode("1") }];
 * const answer = Promise.withResolvers<Receipt>();
 * const retention = { events: 1000, ms: 60_000, bytes: 2 ** 25 };
 * const plan = planCommit("p_aBcDeF", base, [{ events, once: undefined, answer }], { now: 5, retention });
 * equal(plan.next.sequence, 1);
 * ```
 */
export function planCommit(
  pipeline: string,
  base: KnownHead,
  requests: AppendRequest[],
  { now, retention }: { now: number; retention: Retention },
): CommitPlan {
  const events = requests.flatMap((request) => request.events);
  const first = base.head.sequence + 1;
  // A clock that went back must not put an event before its predecessor.
  const time = Math.max(now, base.head.time);
  const token = crypto.getRandomValues(new BigUint64Array(1))[0]!;
  const segments = packSegments({ token, time, first }, events);
  const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
  const next = advanceHead(base.head, { count: events.length, bytes, time }, retention);
  const firstKey = segmentKey(pipeline, readSegmentHeader(segments[0]!).last);
  return { pipeline, base, token, next, segments, firstKey, requests };
}

/**
 * The atomic operation of a commit.
 *
 * @param kv The store.
 * @param plan The commit.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { newHead } from "./head.ts";
 *
 * using kv = await Deno.openKv(":memory:");
 * const base = { head: newHead("AAECAwQFBgc", 0), versionstamp: null };
 * const events = [{ channel: "events", payload: new TextEncoder().encode("1") }];
 * const answer = Promise.withResolvers<Receipt>();
 * const retention = { events: 1000, ms: 60_000, bytes: 2 ** 25 };
 * const plan = planCommit("p_aBcDeF", base, [{ events, once: undefined, answer }], { now: 5, retention });
 * equal((await toAtomicOperation(kv, plan).commit()).ok, true);
 * equal((await toAtomicOperation(kv, plan).commit()).ok, false);
 * ```
 */
export function toAtomicOperation(
  kv: Pick<Kv, "atomic">,
  { pipeline, base, next, segments, requests }: CommitPlan,
): Deno.AtomicOperation {
  const key = headKey(pipeline);
  const operation = kv.atomic().check({ key, versionstamp: base.versionstamp }).set(key, next);
  for (const segment of segments) {
    operation.set(segmentKey(pipeline, readSegmentHeader(segment).last), segment);
  }
  let first = base.head.sequence + 1;
  for (const { events, once } of requests) {
    if (once) {
      const record: OnceRecord = {
        until: next.time + KEY_LIFETIME_MS,
        fingerprint: once.fingerprint,
        epoch: next.epoch,
        first,
        count: events.length,
      };
      operation.set(onceKey(pipeline, once.key), record, { expireIn: KEY_LIFETIME_MS });
    }
    first += events.length;
  }
  return operation;
}
