/**
 * Appends to one pipeline's log, one commit at a time. Requests that arrive
 * while a commit is under way join the next one, so latency stays that of one
 * commit while throughput grows with the load.
 *
 * @module
 */

import { RunnelError, wait } from "../base/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import type { AppendRequest, Receipt } from "./commit.ts";
import { Committer, type CommitterOptions } from "./committer.ts";
import type { Once } from "./idempotency.ts";

/** The bytes of events of one commit: with keys and head it stays below 800 KiB. */
const MAX_COMMIT_BYTES = 640 * 1024;

/** The requests of one commit: their keys stay below 80 KiB. */
const MAX_COMMIT_REQUESTS = 400;

/** Commits one after the other before a writer of a shared store yields to others. */
const MAX_STREAK = 8;

/** How long a writer yields at most, in milliseconds; twice that with jitter. */
const MAX_YIELD_MS = 500;

/** How long to wait before a commit of unknown outcome is asked for again, in milliseconds. */
const SETTLE_PAUSE_MS = 1000;

/** What a {@linkcode LogWriter} works with. `timeoutMs` is how long a request waits for its turn, too. */
export interface LogWriterOptions extends CommitterOptions {
  /** Whether others write to the store, too, who are to have their turns. */
  shared: boolean;
}

/** A request that waits for its commit. */
interface Waiting extends AppendRequest {
  bytes: number;
  /** When it has waited long enough for the commit before its own, in milliseconds of the clock. */
  until: number;
}

/** The appends of one pipeline. */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #committer: Committer;
  readonly #queue: Waiting[] = [];
  /** Requests with a key that wait or are under way, by the key. */
  readonly #byKey = new Map<string, Waiting>();
  #running: Promise<void> | null = null;
  /** The commit under way, failed or not. */
  #committing: Promise<unknown> = Promise.resolve();
  #closed = false;
  #wake = () => {};

  /**
   * Makes a writer that knows nothing of the log yet.
   *
   * @param pipeline Whose log.
   * @param options What it works with.
   */
  constructor(pipeline: string, options: LogWriterOptions) {
    this.#options = options;
    this.#committer = new Committer(pipeline, options);
  }

  /** Whether nothing waits, nothing is under way and nothing is in doubt. */
  get idle(): boolean {
    return this.#running === null;
  }

  /** Resolves when the commit that is under way, if any, is over. */
  async committed(): Promise<void> {
    await this.#committing;
  }

  /**
   * Appends the events of one request: all or none.
   *
   * @param events The events, one at least.
   * @param bytes How many bytes they take in segments.
   * @param once The key of a request that is to happen once.
   * @returns Where they are, once they are durable.
   * @throws {RunnelError} `key-reused` if the key came with other events;
   *   `log-unavailable` if nothing was stored; `outcome-unknown` if that is not
   *   known.
   */
  async append(events: readonly NewEvent[], bytes: number, once?: Once): Promise<Receipt> {
    for (let twin; once && (twin = this.#byKey.get(once.key.toHex()));) {
      if (twin.once?.fingerprint === once.fingerprint) {
        return { ...await twin.answer.promise, replayed: true };
      }
      // Whose the key is, is known once the other was stored or refused.
      await twin.answer.promise.catch(() => {});
    }
    if (this.#closed) throw draining();
    const until = this.#options.runtime.clock.now() + this.#options.timeoutMs;
    const waiting: Waiting = { events, bytes, once, until, answer: Promise.withResolvers() };
    if (once) this.#byKey.set(once.key.toHex(), waiting);
    this.#queue.push(waiting);
    this.#wake();
    this.#running ??= this.#run();
    try {
      return await waiting.answer.promise;
    } finally {
      if (once) this.#byKey.delete(once.key.toHex());
    }
  }

  /** Stops: what waits is refused, what is under way is heard to its end. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#refuse(this.#queue.splice(0), draining());
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const committer = this.#committer;
    let streak = 0;
    while (!this.#closed && (committer.inDoubt || this.#queue.length > 0)) {
      const batch: Waiting[] = [];
      try {
        if (committer.inDoubt) await committer.settle();
        batch.push(...this.#takeBatch());
        const started = this.#options.runtime.clock.now();
        const commit = committer.commit(batch);
        this.#committing = commit.catch(() => {});
        await commit;
        if (this.#options.shared && ++streak % MAX_STREAK === 0) await this.#yield(started);
      } catch (cause) {
        this.#fail(batch, cause);
        if (committer.inDoubt) await this.#pause();
      }
    }
    this.#running = null;
  }

  #takeBatch(): Waiting[] {
    const now = this.#options.runtime.clock.now();
    const inTime = this.#queue.findIndex(({ until }) => until >= now);
    this.#refuse(
      this.#queue.splice(0, inTime < 0 ? this.#queue.length : inTime),
      new RunnelError(
        "overloaded",
        "Cannot publish: the log is slower than its publishers. Nothing was stored; try again",
      ),
    );
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes;
      if (count > 0 && (bytes > MAX_COMMIT_BYTES || count === MAX_COMMIT_REQUESTS)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /**
   * Lets others have their turn: who knows the head commits faster than whoever
   * has to read it first, and would win every time. A read and a commit of
   * theirs take about twice as long as the commit that was just made.
   */
  async #yield(started: number): Promise<void> {
    const { clock, random } = this.#options.runtime;
    const ms = Math.min(3 * (clock.now() - started) + 1, MAX_YIELD_MS);
    await wait(clock, ms * (1 + random()));
  }

  /** A log that failed one commit fails those that wait, too: each is answered in time. */
  #fail(batch: Waiting[], cause: unknown): void {
    this.#committer.giveUp(cause);
    // Of the batch, those that may be stored have their answer already.
    this.#refuse(
      [...batch, ...this.#queue.splice(0)],
      new RunnelError(
        "log-unavailable",
        "Cannot publish: the log does not take events now. Nothing was stored; try again",
        { cause },
      ),
    );
  }

  #refuse(requests: Waiting[], error: RunnelError): void {
    for (const { answer } of requests) answer.reject(error);
  }

  async #pause(): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = this.#options.runtime.clock.after(SETTLE_PAUSE_MS, resolve);
    await promise;
  }
}

function draining(): RunnelError {
  return new RunnelError("draining", "Cannot publish: closing");
}
