/**
 * Group commit: appends to one pipeline's log, one commit at a time. Requests
 * that arrive during a commit join the next one, so latency stays that of one
 * commit while throughput grows with the load.
 *
 * @module
 */

import { delay, RunnelError } from "../base/mod.ts";
import type { AppendRequest, Receipt, VersionedHead } from "./commit.ts";
import { type BatchResult, Committer, type CommitterOptions } from "./committer.ts";
import type { SharedTurn } from "./shared_turn.ts";
import { notStored } from "./publish_errors.ts";

/** Maximum size of the events of a commit, in bytes: below 800 KiB with keys and head. */
const MAX_COMMIT_BYTES = 640 * 1024;

/** Maximum number of requests in one commit: their keys stay below 80 KiB. */
const MAX_COMMIT_REQUESTS = 400;

/** Number of consecutive commits after which a writer of a shared store yields to others. */
const MAX_STREAK = 8;

/** Maximum time for which a writer yields, in milliseconds; jitter may double it. */
const MAX_YIELD_MS = 500;

/** Pause before the log is searched again for a commit of unknown outcome, in milliseconds. */
const RESOLVE_PAUSE_MS = 1000;

/**
 * Options for {@linkcode LogWriter}. `timeoutMs` is also the maximum time that a
 * request waits for the commits before its own.
 */
export interface LogWriterOptions extends CommitterOptions {
  /** Whether other writers share the store, so that this one must yield to them. */
  shared: boolean;
  /** Turn after which a commit begins; the writers of a log share it, so that theirs go together. */
  turn: SharedTurn;
}

/** A request that waits for its commit. */
interface Waiting extends AppendRequest {
  bytes: number;
  /** Time until which it waits for the commits before its own, in milliseconds of the monotonic clock. */
  until: number;
  /** Only the writer settles it. */
  deferred: PromiseWithResolvers<Receipt>;
}

/** Writer of one pipeline's log. */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #committer: Committer;
  readonly #queue: Waiting[] = [];
  /** Requests with an idempotency key that wait or are in flight, by the hash of the key. */
  readonly #byKey = new Map<string, Waiting>();
  #running: Promise<void> | null = null;
  /** The commit in flight; it never rejects. */
  #commit: Promise<BatchResult> | null = null;
  /** Settled when the unknown outcome, if there is one, is known or given up. */
  #outcomeKnown: PromiseWithResolvers<void> | null = null;
  #closed = false;
  #wake = () => {};

  /** @param head Head that the first commit follows, if it is known. */
  constructor(pipeline: string, options: LogWriterOptions, head?: VersionedHead) {
    this.#options = options;
    this.#committer = new Committer(pipeline, options, head);
  }

  /** Whether no request waits, no commit is in flight and no outcome is unknown. */
  get idle(): boolean {
    return this.#running === null;
  }

  /** Resolves when the commit in flight, if there is one, has ended. */
  async waitForCommit(): Promise<void> {
    await this.#commit;
  }

  /** Resolves when the outcome of no commit is unknown, at the latest when the writer is closed. */
  async whenOutcomeKnown(): Promise<void> {
    await this.#outcomeKnown?.promise;
  }

  /**
   * Appends the events of one request, all or none.
   *
   * @param bytes Size of its events in segments, in bytes.
   * @returns Position of the events, once they are durable.
   * @throws {RunnelError} `key-reused` if the key came with other events; `run-ended` or
   *   `append-superseded`; `log-unavailable`, `overloaded` or `draining` if nothing was
   *   stored; `outcome-unknown` if that is not known.
   */
  async append(request: AppendRequest, bytes: number): Promise<Receipt> {
    const { idempotency, part } = request;
    const key = idempotency?.key.toHex();
    for (let twin; key && (twin = this.#byKey.get(key));) {
      // Of a streaming append, another connection may have sent it.
      if (!part && twin.idempotency?.fingerprint === idempotency?.fingerprint) {
        return { ...await twin.deferred.promise, replayed: true };
      }
      // Whether the key is free is known once the other request was stored or refused.
      await twin.deferred.promise.catch(() => {});
    }
    if (this.#closed) throw draining();
    const { runtime: { clock }, timeoutMs } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    const deferred = Promise.withResolvers<Receipt>();
    const waiting: Waiting = { ...request, bytes, until, deferred };
    if (key) this.#byKey.set(key, waiting);
    this.#queue.push(waiting);
    this.#wake();
    this.#running ??= this.#run();
    try {
      return await deferred.promise;
    } finally {
      if (key) this.#byKey.delete(key);
    }
  }

  /** Refuses waiting requests, and resolves when the commit in flight has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#refuse(this.#queue.splice(0), draining());
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let streak = 1; !this.#closed; streak++) {
      if (this.#committer.hasUnknownOutcome && !await this.#resolveOutcome()) continue;
      if (this.#queue.length === 0) break;
      // The requests that are ready now join this commit. Otherwise the first of 64 would go
      // alone, and the others wait for it while nothing else is to be done: they settled to
      // commits of 1 and 63 in turns, with 9,000 to 24,000 publishes a second against 25,000.
      await this.#options.turn.wait();
      if (this.#closed) break;
      const started = this.#options.runtime.clock.monotonic();
      const failure = await this.#commitBatch(this.#takeBatch());
      if (failure !== undefined) {
        this.#refuse(this.#queue.splice(0), notStored(failure));
        if (this.#committer.hasUnknownOutcome) await this.#pause();
      } else if (this.#options.shared && streak % MAX_STREAK === 0) await this.#yield(started);
    }
    this.#outcomeKnown?.resolve();
    this.#running = null;
  }

  /** Commits a batch, answers it, and returns the error of the store, if there is one. */
  async #commitBatch(batch: readonly Waiting[]): Promise<unknown> {
    this.#commit = this.#committer.commit(batch);
    const { outcomes, failure } = await this.#commit;
    if (this.#committer.hasUnknownOutcome) this.#outcomeKnown = Promise.withResolvers();
    batch.forEach(({ deferred }, index) => {
      const outcome = outcomes[index]!;
      if (outcome instanceof RunnelError) deferred.reject(outcome);
      else deferred.resolve(outcome);
    });
    return failure;
  }

  /** Resolves an unknown outcome before anything else is appended; false if that failed. */
  async #resolveOutcome(): Promise<boolean> {
    try {
      await this.#committer.resolveOutcome();
      this.#outcomeKnown?.resolve();
      this.#outcomeKnown = null;
      return true;
    } catch (cause) {
      // Refused now, the requests that wait are answered in time.
      this.#refuse(this.#queue.splice(0), notStored(cause));
      await this.#pause();
      return false;
    }
  }

  #takeBatch(): Waiting[] {
    const now = this.#options.runtime.clock.monotonic();
    const inTime = this.#queue.findIndex(({ until }) => until >= now);
    const late = this.#queue.splice(0, inTime < 0 ? this.#queue.length : inTime);
    // An error takes its stack, which costs more than the rest of this method.
    if (late.length > 0) this.#refuse(late, overloaded());
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes;
      if (count > 0 && (bytes > MAX_COMMIT_BYTES || count === MAX_COMMIT_REQUESTS)) break;
      count++;
      // Those behind the end of the run are refused, if it is stored.
      if (waiting.end) break;
    }
    return this.#queue.splice(0, count);
  }

  /**
   * Yields to other writers. A writer that has the head cached commits faster
   * than one that must read it, and would starve the others. They need a read and
   * a commit: about twice the time of the commit that was just made.
   */
  async #yield(started: number): Promise<void> {
    const { clock, random } = this.#options.runtime;
    const ms = Math.min(3 * (clock.monotonic() - started) + 1, MAX_YIELD_MS);
    await delay(clock, ms * (1 + random()));
  }

  #refuse(requests: readonly Waiting[], error: RunnelError): void {
    for (const { deferred } of requests) deferred.reject(error);
  }

  async #pause(): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = this.#options.runtime.clock.after(RESOLVE_PAUSE_MS, resolve);
    await promise;
  }
}

function overloaded(): RunnelError {
  return new RunnelError(
    "overloaded",
    "Cannot publish: the log is slower than its publishers. Nothing was stored; try again",
  );
}

function draining(): RunnelError {
  return new RunnelError("draining", "Cannot publish: closing");
}
