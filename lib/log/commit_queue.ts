/**
 * Group commit across pipelines: commits that wait go to the store together, in one
 * atomic operation. Each operation is a write of its own that the store syncs, and
 * that is most of its cost.
 *
 * The commits of a group are applied all or none, so one pipeline whose head has
 * changed gets the others refused. Whoever is refused in a group must try again
 * alone. A commit that finds a free place goes at once, so a queue forms only while
 * the store is busy.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import { isCanaryPipeline } from "../protocol/mod.ts";
import { addToOperation, type CommitPlan } from "./commit.ts";
import {
  addSizes,
  type CommitSize,
  fitsGroup,
  LARGE_COMMIT_BYTES,
  MAX_CHECKS,
  MAX_REMOTE_CHECKS,
  measureCommit,
} from "./commit_size.ts";

/**
 * Operations in flight to a file. One thread of the runtime carries them out one by
 * one; the second is there so that it never waits for this thread. With 64 publishers
 * to a hundred pipelines, one in flight took 11,300 a second, two 13,700, three 11,100.
 * To let the second wait for eight commits was slower.
 */
const MAX_IN_FLIGHT = 2;

/**
 * Operations in flight to a KV server, those on their way included. In the same place,
 * 4 to 20 made no difference that can be measured; over a longer way, more help.
 */
const MAX_REMOTE_IN_FLIGHT = 10;

/** Options for {@linkcode CommitQueue}. */
export interface CommitQueueOptions {
  /** The store. */
  kv: KvConnection;
  /** Clock for deadlines. */
  runtime: { clock: Clock };
  /** Counts the commits that share an operation. */
  metrics: Pick<Metrics, "operationSize">;
}

/** Options for {@linkcode CommitQueue.commit}. */
export interface CommitOptions {
  /** Deadline, in milliseconds of the monotonic clock. */
  until: number;
  /** Whether it must not share an operation with others: when it may be refused. */
  alone: boolean;
  /** Called when it is sent. From then on it may be applied, whatever the result. */
  onSend: () => void;
}

/** A commit that waits for a place. */
interface Waiting extends CommitOptions {
  plan: CommitPlan;
  size: CommitSize;
  answer: PromiseWithResolvers<Deno.KvCommitResult | Deno.KvCommitError>;
  /** Ends the wait at the deadline. */
  timer: Disposable;
}

/** Queue of the commits of all pipelines. */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  readonly #maxChecks: number;
  readonly #maxInFlight: number;
  #waiting: Waiting[] = [];
  #inFlight = 0;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
    const { remote } = options.kv;
    this.#maxChecks = remote ? MAX_REMOTE_CHECKS : MAX_CHECKS;
    this.#maxInFlight = remote ? MAX_REMOTE_IN_FLIGHT : MAX_IN_FLIGHT;
  }

  /**
   * Commits a plan, with others or alone. No two plans of one pipeline may be in the
   * queue.
   *
   * @returns The store's result. A commit that is refused in a group was refused
   *   because of any of them.
   * @throws The error of the store, after which the commit may have been applied; or
   *   one of the deadline, before {@linkcode CommitOptions.onSend} was called.
   */
  commit(
    plan: CommitPlan,
    options: CommitOptions,
  ): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    const size = measureCommit(plan);
    const alone = options.alone || size.bytes > LARGE_COMMIT_BYTES;
    const answer: Waiting["answer"] = Promise.withResolvers();
    const { clock } = this.#options.runtime;
    const timer = clock.after(options.until - clock.monotonic(), () => this.#drop(waiting));
    const waiting: Waiting = { ...options, plan, size, alone, answer, timer };
    // At the end of this turn, so that all commits that are planned in it go together.
    if (this.#waiting.push(waiting) === 1) queueMicrotask(() => this.#sendNext());
    return answer.promise;
  }

  #drop(late: Waiting): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== late);
    late.answer.reject(new Error("The store was busy until the deadline"));
  }

  #sendNext(): void {
    while (this.#inFlight < this.#maxInFlight && this.#waiting.length > 0) {
      this.#send(this.#takeGroup());
    }
  }

  /** Takes the commit that has waited longest, and all others that fit in with it. */
  #takeGroup(): Waiting[] {
    const first = this.#waiting.shift()!;
    const group = [first];
    if (first.alone) return group;
    let { size } = first;
    this.#waiting = this.#waiting.filter((waiting) => {
      const sum = addSizes(size, waiting.size);
      if (waiting.alone || !fitsGroup(sum, this.#maxChecks)) return true;
      size = sum;
      group.push(waiting);
      return false;
    });
    return group;
  }

  async #send(group: readonly Waiting[]): Promise<void> {
    const { kv, runtime: { clock }, metrics } = this.#options;
    this.#inFlight++;
    if (group.length > 1 || !isCanaryPipeline(group[0]!.plan.pipeline)) {
      metrics.operationSize.record(group.length);
    }
    const until = Math.min(...group.map(({ until }) => until));
    for (const { timer, onSend } of group) {
      timer[Symbol.dispose]();
      onSend();
    }
    try {
      const result = await kv.call((kv) => {
        const operation = kv.atomic();
        for (const { plan } of group) addToOperation(operation, plan);
        return operation.commit();
      }, { ms: until - clock.monotonic() });
      for (const { answer } of group) answer.resolve(result);
    } catch (error) {
      for (const { answer } of group) answer.reject(error);
    }
    this.#inFlight--;
    this.#sendNext();
  }
}
