/**
 * Makes the commits of one pipeline, one at a time, and finds out whether each
 * stands.
 *
 * A commit whose answer is missing or negative may still have been made: the
 * client of a remote store sends a commit again by itself, and a frozen
 * connection delivers late. So every commit carries a token in its segments,
 * and nothing else is appended before the log was asked for that token.
 *
 * @module
 */

import { RunnelError, type Runtime, wait } from "../base/mod.ts";
import type { Kv, KvConnection } from "../kv/mod.ts";
import {
  type AppendRequest,
  type Commit,
  type CommitPlan,
  type KnownHead,
  planCommit,
  toAtomicOperation,
} from "./commit.ts";
import { type Head, mintEpoch, newHead, type Retention } from "./head.ts";
import type { OnceRecord } from "./idempotency.ts";
import { headKey, onceKey } from "./keys.ts";
import { readSegmentHeader } from "./segment.ts";

/** What a {@linkcode Committer} works with. */
export interface CommitterOptions {
  /** The store. */
  kv: KvConnection;
  /** Clock and random numbers. */
  runtime: Pick<Runtime, "clock" | "random">;
  /** What the log keeps. */
  retention: Retention;
  /** How long a commit may take, in milliseconds. */
  timeoutMs: number;
  /** Hears of each commit, before its requests are answered. */
  onCommit: (commit: Commit) => void;
  /** Hears that a commit moved the oldest event retained. */
  onTrim: (pipeline: string, oldest: number) => void;
}

/** The commits of one pipeline. */
export class Committer {
  readonly #pipeline: string;
  readonly #options: CommitterOptions;
  #known: KnownHead | null = null;
  /** A commit that was tried and neither confirmed nor ruled out. */
  #unsettled: CommitPlan | null = null;

  /**
   * Makes a committer that knows nothing of the log yet.
   *
   * @param pipeline Whose log.
   * @param options What it works with.
   */
  constructor(pipeline: string, options: CommitterOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
  }

  /** Whether there is a commit that was given up and may still stand or come. */
  get inDoubt(): boolean {
    return this.#unsettled !== null;
  }

  /**
   * Commits some requests and answers them. Nothing may be in doubt.
   *
   * @param batch The requests, in order, one at least.
   * @throws Whatever the store throws at the deadline; then
   *   {@linkcode Committer.giveUp}.
   */
  async commit(batch: AppendRequest[]): Promise<void> {
    const { runtime: { clock, random }, timeoutMs, retention } = this.#options;
    const until = clock.now() + timeoutMs;
    let plan: CommitPlan | null = null;
    for (let tries = 0;; tries++) {
      this.#known ??= await this.#readHead(until);
      // A head that did not change admits no other commit between ours and
      // its repetition, so the same plan, token and all, is tried again.
      if (plan === null || plan.base.versionstamp !== this.#known.versionstamp) {
        const requests = await this.#answerRepeats(plan?.requests ?? batch, until);
        if (requests.length === 0) return;
        plan = planCommit(this.#pipeline, this.#known, requests, { now: clock.now(), retention });
      }
      const failure = await this.#try(plan, until);
      if (failure === null) return this.#committed(plan);
      await wait(clock, random() * Math.min(2 ** tries, 50));
      if (clock.now() >= until) throw failure;
      // What was read before the wait is too old to be faster with than another writer.
      if (!this.#unsettled) this.#known = null;
    }
  }

  /**
   * Settles the commit that is in doubt, so that it can no longer come late:
   * either it stands, and is delivered, or it is ruled out.
   *
   * @throws Whatever the store throws at the deadline: then it stays in doubt.
   */
  async settle(): Promise<void> {
    const { runtime: { clock }, timeoutMs } = this.#options;
    const until = clock.now() + timeoutMs;
    while (this.#unsettled) {
      if (clock.now() >= until) throw new Error("The log refuses every commit");
      const plan = this.#unsettled;
      if (await this.#askFor(plan, until)) return this.#committed(plan);
      if (this.#unsettled) await this.#ruleOut(plan, until);
    }
  }

  /**
   * Answers for a commit that failed: where it may stand, its requests are told
   * so. What was known of the head is forgotten.
   *
   * @param cause Why it failed.
   */
  giveUp(cause: unknown): void {
    this.#known = null;
    for (const { answer } of this.#unsettled?.requests ?? []) answer.reject(outcomeUnknown(cause));
  }

  async #readHead(until: number): Promise<KnownHead> {
    const entry = await this.#call(until, (kv) => kv.get<Head>(headKey(this.#pipeline)));
    return this.#knownFrom(entry);
  }

  #knownFrom({ value, versionstamp }: Deno.KvEntryMaybe<Head>): KnownHead {
    return { head: value ?? newHead(mintEpoch(), this.#options.runtime.clock.now()), versionstamp };
  }

  /**
   * Answers the requests whose keys are on record and returns the others. The
   * records are read after the head that the commit checks: whoever writes one
   * in between changes the head.
   */
  async #answerRepeats(requests: AppendRequest[], until: number): Promise<AppendRequest[]> {
    const keyed = requests.filter((request) => request.once);
    if (keyed.length === 0) return requests;
    const keys = keyed.map((request) => onceKey(this.#pipeline, request.once!.key));
    const records = await this.#options.kv.getMany<OnceRecord>(keys, { ms: this.#msUntil(until) });
    const repeated = new Set<AppendRequest>();
    keyed.forEach((request, index) => {
      const record = records[index]?.value;
      if (!record || record.until <= this.#options.runtime.clock.now()) return;
      repeated.add(request);
      const { epoch, first, count, fingerprint } = record;
      if (fingerprint !== request.once!.fingerprint) request.answer.reject(keyReused());
      else request.answer.resolve({ epoch, first, count, replayed: true });
    });
    return requests.filter((request) => !repeated.has(request));
  }

  /** Tries a commit once. Why it does not stand, or `null`; if that stays unknown, it throws. */
  async #try(plan: CommitPlan, until: number): Promise<unknown> {
    this.#unsettled = plan;
    let failure: unknown = new Error("Other writers were faster every time");
    try {
      const result = await this.#call(until, (kv) => toAtomicOperation(kv, plan).commit());
      if (result.ok) {
        this.#known = { head: plan.next, versionstamp: result.versionstamp };
        this.#unsettled = null;
        return null;
      }
    } catch (error) {
      // `database is locked` among others: two writers of one file.
      failure = error;
    }
    if (this.#options.runtime.clock.now() >= until) throw failure;
    return await this.#askFor(plan, until) ? null : failure;
  }

  /**
   * Asks the log whether a commit stands. Where neither its token is there nor
   * the head moved on, the commit may still come: then it stays unsettled.
   */
  async #askFor(plan: CommitPlan, until: number): Promise<boolean> {
    const keys = [headKey(this.#pipeline), plan.firstKey] as const;
    const [head, segment] = await this.#call(
      until,
      (kv) => kv.getMany<[Head, Uint8Array]>(keys),
    );
    const stands = segment.value !== null &&
      readSegmentHeader(segment.value).token === plan.token;
    this.#known = this.#knownFrom(head);
    // Where the segment would be trimmed by now, only a key can tell.
    if (!stands && head.value && head.value.oldest > Number(plan.firstKey.at(-1))) {
      for (const { once, answer } of plan.requests) if (!once) answer.reject(outcomeUnknown());
      plan.requests = plan.requests.filter(({ once }) => once);
    }
    if (stands || head.versionstamp !== plan.base.versionstamp) this.#unsettled = null;
    return stands;
  }

  /** Writes the head anew, which makes the check of a late commit fail. */
  async #ruleOut({ base }: CommitPlan, until: number): Promise<void> {
    const key = headKey(this.#pipeline);
    const { head, versionstamp } = base;
    const result = await this.#call(
      until,
      (kv) => kv.atomic().check({ key, versionstamp }).set(key, head).commit(),
    );
    // Where it changed in between, the log is asked once more.
    if (!result.ok) return;
    this.#known = { head, versionstamp: result.versionstamp };
    this.#unsettled = null;
  }

  #committed({ base, next, segments, requests }: CommitPlan): void {
    const { epoch, cleared, oldest } = next;
    this.#options.onCommit({ pipeline: this.#pipeline, epoch, cleared, segments });
    if (oldest > base.head.oldest) this.#options.onTrim(this.#pipeline, oldest);
    let first = base.head.sequence + 1;
    for (const { events, answer } of requests) {
      answer.resolve({ epoch, first, count: events.length, replayed: false });
      first += events.length;
    }
  }

  #call<T>(until: number, use: (kv: Kv) => Promise<T>): Promise<T> {
    return this.#options.kv.call(use, { ms: this.#msUntil(until) });
  }

  #msUntil(time: number): number {
    return time - this.#options.runtime.clock.now();
  }
}

function outcomeUnknown(cause?: unknown): RunnelError {
  return new RunnelError(
    "outcome-unknown",
    "Cannot confirm the publish: the log did not answer in time, and the events may have been " +
      "stored. Publish them again with the same Idempotency-Key, and they are stored once",
    { cause },
  );
}

function keyReused(): RunnelError {
  return new RunnelError(
    "key-reused",
    "Cannot publish: this Idempotency-Key was used with other events. Use a new key",
  );
}
