/**
 * Makes the commits of one pipeline, one at a time, each until its outcome is known.
 *
 * A commit whose answer is missing or negative may have been applied, or may
 * still be: the client of a remote store sends a commit again by itself, and a
 * frozen connection delivers late. So every commit writes a token into its
 * segments, and nothing else is appended before the log was searched for it.
 *
 * @module
 */

import { delay, type Runtime } from "../base/mod.ts";
import type { Kv, KvConnection } from "../kv/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import { isCanaryPipeline } from "../protocol/mod.ts";
import { CachedHead, isSameVersion } from "./cached_head.ts";
import {
  type AppendRequest,
  type Commit,
  type CommitPlan,
  type Outcome,
  planCommit,
  type Receipt,
  type VersionedHead,
} from "./commit.ts";
import type { CommitQueue } from "./commit_queue.ts";
import { type Attempt, Duplicates } from "./duplicates.ts";
import { type Head, type Retention, UNWRITTEN_LIFETIME_MS } from "./head.ts";
import { headKey } from "./keys.ts";
import { notStored, outcomeUnknown } from "./publish_errors.ts";
import { readSegmentHeader } from "./segment.ts";
import type { HeadReader } from "./unwritten.ts";

/** Longest pause between two tries of a commit, in milliseconds. */
const MAX_RETRY_PAUSE_MS = 50;

/**
 * Time for which the commits of a pipeline go alone once another writer was faster,
 * in milliseconds: each that is refused gets the others of its group refused.
 */
const CONTESTED_MS = 1000;

/** Options for {@linkcode Committer}. */
export interface CommitterOptions {
  /** The store. */
  kv: KvConnection;
  /** Queue of the commits of all pipelines. */
  commits: CommitQueue;
  /** Reader of the heads, those of unwritten pipelines included. */
  headReader: HeadReader;
  /** Clock for deadlines, random numbers for jitter, and reporter of a rollback. */
  runtime: Runtime;
  /** Counts the requests of a commit, and its repetitions. */
  metrics: Pick<Metrics, "groupSize" | "commitRetries">;
  /** Retention of the log. */
  retention: Retention;
  /** Maximum number of idempotency keys of the last 24 hours. */
  maxKeys: number;
  /** Deadline of a commit, all its tries included, in milliseconds. */
  timeoutMs: number;
  /** Called with each commit that was applied, before its requests are answered. */
  onCommit: (commit: Commit) => void;
  /** Called when a commit trimmed the log of an epoch, with the sequence of the oldest event retained. */
  onTrim: (pipeline: string, epoch: string, oldest: number) => void;
  /**
   * Called when a commit has an earlier time than the one before, because the
   * clock was set back by more than an hour.
   *
   * @param ms The difference, in milliseconds.
   */
  onTimeStep: (pipeline: string, ms: number) => void;
}

/** Result of a batch. */
export interface BatchResult {
  /** Outcome of each request, in the order of the batch. */
  outcomes: Outcome[];
  /** Error of the store at the deadline; `undefined` if all requests were answered. */
  failure: unknown;
}

/** Committer of one pipeline. No method may be called while another one is in progress. */
export class Committer {
  readonly #pipeline: string;
  readonly #options: CommitterOptions;
  readonly #head: CachedHead;
  readonly #duplicates: Duplicates;
  /** Time until which other writers are expected, in milliseconds of the monotonic clock. */
  #contestedUntil = -Infinity;
  /** Commit that was sent and is neither known to be applied nor fenced out. */
  #unresolved: CommitPlan | null = null;

  /** @param head Head that the first commit follows, if it is known. */
  constructor(pipeline: string, options: CommitterOptions, head?: VersionedHead) {
    this.#pipeline = pipeline;
    this.#options = options;
    this.#head = new CachedHead(pipeline, options);
    if (head) this.#head.set(head);
    this.#duplicates = new Duplicates(pipeline, this.#head, options);
  }

  /** Whether there is a failed commit that may have been applied, or may still be. */
  get hasUnknownOutcome(): boolean {
    return this.#unresolved !== null;
  }

  /**
   * Commits a batch of requests. Must not be called while the outcome of a commit
   * is unknown. Afterwards that of this one may be.
   *
   * @param batch The requests, in order, at least one.
   */
  async commit(batch: readonly AppendRequest[]): Promise<BatchResult> {
    const outcomes = new Map<AppendRequest, Outcome>();
    let failure: unknown;
    try {
      await this.#commitUntilDeadline(batch, outcomes);
    } catch (cause) {
      failure = cause;
      // No other request was tried, so none of their events can be stored.
      for (const request of this.#unresolved?.requests ?? []) {
        if (!outcomes.has(request)) outcomes.set(request, outcomeUnknown(cause));
      }
    }
    return {
      outcomes: batch.map((request) => outcomes.get(request) ?? notStored(failure)),
      failure,
    };
  }

  async #commitUntilDeadline(
    batch: readonly AppendRequest[],
    outcomes: Map<AppendRequest, Outcome>,
  ): Promise<void> {
    const { runtime: { clock, random }, timeoutMs, retention, metrics } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    const attempt: Attempt = { outcomes, until, appends: new Map() };
    let plan: CommitPlan | null = null;
    for (let tries = 0;; tries++) {
      const { checks } = await this.#head.get(until);
      // A head that did not change admits no other commit between this one and
      // its repetition, so the same plan, token and all, is tried again.
      if (!plan || !isSameVersion(plan.base.checks, checks)) {
        const requests = await this.#duplicates.remove(batch, attempt);
        if (requests.length === 0) return;
        const head = await this.#head.get(until);
        const { appends } = attempt;
        plan = planCommit(this.#pipeline, head, requests, { now: clock.now(), retention, appends });
      }
      if (tries > 0) metrics.commitRetries.add();
      const alone = tries > 0 || clock.monotonic() < this.#contestedUntil;
      const failure = await this.#try(plan, { ...attempt, alone });
      if (failure === null) return;
      await delay(clock, random() * Math.min(2 ** tries, MAX_RETRY_PAUSE_MS));
      if (clock.monotonic() >= until) throw failure;
      // With a head that was read before the pause, other writers would be faster again.
      if (!this.#unresolved) this.#head.set(null);
    }
  }

  /**
   * Resolves the unknown outcome of a commit: if it was applied, it is delivered;
   * otherwise it is fenced out, so that it cannot be applied late.
   *
   * @throws The store's error at the deadline. Then the outcome stays unknown.
   */
  async resolveOutcome(): Promise<void> {
    const { runtime: { clock }, timeoutMs } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    while (this.#unresolved) {
      if (clock.monotonic() >= until) throw new Error("The log refuses every commit");
      const plan = this.#unresolved;
      if (await this.#wasApplied(plan, until) === true) return this.#deliver(plan);
      if (this.#unresolved) await this.#fence(plan, until);
    }
  }

  /**
   * Tries a commit once. Returns the reason why it was not applied, or `null`.
   *
   * @throws If the outcome is unknown, or the commit was not sent.
   */
  async #try(
    plan: CommitPlan,
    { outcomes, until, alone }: Attempt & { alone: boolean },
  ): Promise<unknown> {
    let failure: unknown = null;
    try {
      const result = await this.#options.commits.commit(plan, {
        until,
        alone,
        onSend: () => this.#unresolved = plan,
      });
      if (result.ok) {
        this.#head.setWritten(plan.next, result.versionstamp);
        this.#unresolved = null;
        return this.#succeed(plan, outcomes);
      }
    } catch (error) {
      if (!this.#unresolved) throw error;
      // For example `database is locked`, if two writers share a file.
      failure = error;
    }
    failure ??= new Error("Other writers, or a clear, were faster every time");
    if (this.#options.runtime.clock.monotonic() >= until) throw failure;
    const wasApplied = await this.#wasApplied(plan, until);
    if (wasApplied === true) return this.#succeed(plan, outcomes);
    if (wasApplied === "unprovable") {
      // Only an idempotency key can tell whether these events are stored.
      for (const request of plan.requests) {
        if (!request.idempotency) outcomes.set(request, outcomeUnknown());
      }
    }
    return failure;
  }

  /**
   * Checks whether a commit was applied. If its token is absent and the head has
   * not moved, the commit may still arrive, so its outcome stays unknown. If the
   * log was trimmed beyond its first segment, neither can be proved.
   */
  async #wasApplied(plan: CommitPlan, until: number): Promise<boolean | "unprovable"> {
    const { base, firstKey, token } = plan;
    const keys = [firstKey, ...base.checks.map(({ key }) => key)];
    const [segment, ...checked] = await this.#call(until, (kv) => kv.getMany<unknown[]>(keys));
    const wasApplied = segment!.value !== null &&
      readSegmentHeader(segment!.value as Uint8Array).token === token;
    const { key, value, versionstamp } = checked[0]!;
    const head = value as Head | null;
    const isMoved = !isSameVersion(base.checks, checked);
    if (head) this.#head.setRead(head, { key, versionstamp });
    else this.#head.set(isMoved ? null : base);
    // All are read in one snapshot: a commit that was applied has moved the head.
    if (isMoved) this.#unresolved = null;
    if (wasApplied) return true;
    if (isMoved) this.#contestedUntil = this.#options.runtime.clock.monotonic() + CONTESTED_MS;
    const wasTrimmed = head !== null && head.oldest > Number(firstKey.at(-1));
    return wasTrimmed ? "unprovable" : false;
  }

  /** Fences out a late commit: rewrites the head, so that the commit's version check fails. */
  async #fence({ base }: CommitPlan, until: number): Promise<void> {
    const key = headKey(this.#pipeline);
    const { head, checks } = base;
    const options = head.sequence === 0 ? { expireIn: UNWRITTEN_LIFETIME_MS } : {};
    const result = await this.#call(
      until,
      (kv) => kv.atomic().check(...checks).set(key, head, options).commit(),
    );
    // If the head changed in between, the caller searches the log once more.
    if (!result.ok) return;
    this.#head.setWritten(head, result.versionstamp);
    this.#unresolved = null;
  }

  #succeed(plan: CommitPlan, outcomes: Map<AppendRequest, Outcome>): null {
    if (!isCanaryPipeline(this.#pipeline)) {
      this.#options.metrics.groupSize.record(plan.requests.length);
    }
    this.#deliver(plan);
    const { epoch, ended } = plan.next;
    let first = plan.base.head.sequence + 1;
    for (const request of plan.requests) {
      const count = request.events.length;
      const receipt: Receipt = { epoch, first, count, replayed: false };
      outcomes.set(request, request.end ? { ...receipt, end: ended! } : receipt);
      first += count;
    }
    return null;
  }

  #deliver({ base, next, segments }: CommitPlan): void {
    const { epoch, cleared, oldest } = next;
    this.#head.noteCommit(base.head, next);
    this.#options.onCommit({ pipeline: this.#pipeline, epoch, cleared, segments });
    if (oldest > base.head.oldest) this.#options.onTrim(this.#pipeline, epoch, oldest);
    if (base.head.sequence > 0 && next.time < base.head.time) {
      this.#options.onTimeStep(this.#pipeline, base.head.time - next.time);
    }
  }

  #call<T>(until: number, use: (kv: Kv) => Promise<T>): Promise<T> {
    return this.#options.kv.call(use, { ms: this.#msUntil(until) });
  }

  #msUntil(time: number): number {
    return time - this.#options.runtime.clock.monotonic();
  }
}
