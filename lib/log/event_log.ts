/**
 * The durable log of all pipelines in Deno KV: what is appended here was
 * accepted, and what is read here is the truth.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import { Backlog, requestBytes } from "./backlog.ts";
import type { Change, Receipt } from "./commit.ts";
import type { Head, Retention } from "./head.ts";
import type { AnnouncedHead } from "./head_announcer.ts";
import { HeadStore } from "./head_store.ts";
import { hashIdempotency } from "./idempotency.ts";
import { PING_KEY } from "./keys.ts";
import { LogReader, type Page } from "./log_reader.ts";
import { LogWriter } from "./log_writer.ts";
import { Sweeper } from "./sweeper.ts";
import { type Ticket, type TicketEntry, TicketStore } from "./ticket_store.ts";

/**
 * Writers that are kept, with the heads that they know, though nothing waits:
 * with fewer than there are live pipelines, every commit would have to read its
 * head first.
 */
const MAX_IDLE_WRITERS = 4000;

/** What an {@linkcode EventLog} works with. */
export interface EventLogOptions {
  /** The store. */
  kv: KvConnection;
  /** Whether others write to the store, too. */
  shared: boolean;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** What is kept behind the history. */
  retention: Retention;
  /** How long a publish may take, in milliseconds. */
  timeoutMs: number;
  /** How many bytes of events may wait for their commits, in all pipelines together. */
  maxWaitingBytes: number;
}

/** Interface of a log, whether this isolate or another owns it. */
export type Log = Pick<EventLog, keyof EventLog>;

/** Listener of a log. */
export interface LogListener {
  /** Called with each commit and clear, before the caller that asked for it is answered. */
  onChange: (change: Change) => void;
  /** Called with heads that another isolate announces, because their broadcasts may be lost. */
  onHeads: (heads: readonly AnnouncedHead[]) => void;
}

/** The log. */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #backlog: Backlog;
  readonly #writers = new Map<string, LogWriter>();
  readonly #heads: HeadStore;
  readonly #reader: LogReader;
  readonly #sweeper: Sweeper;
  readonly #tickets: TicketStore;
  #closed = false;
  #onChange: (change: Change) => void = () => {};

  /**
   * Makes a log on a store that is open.
   *
   * @param options What it works with.
   */
  constructor(options: EventLogOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.maxWaitingBytes);
    this.#heads = new HeadStore(options);
    this.#reader = new LogReader({ ...options, heads: this.#heads });
    this.#sweeper = new Sweeper(options.kv, options.runtime);
    this.#tickets = new TicketStore(options.kv);
  }

  /** What is in memory here: requests that wait, in bytes, and pipelines being swept. */
  get pending(): { waitingBytes: number; sweeps: number } {
    return { waitingBytes: this.#backlog.bytes, sweeps: this.#sweeper.size };
  }

  /**
   * Sets the listener of commits and clears made here, of which nothing needs
   * to be announced.
   *
   * @param listener The listener.
   */
  listen({ onChange }: LogListener): void {
    this.#onChange = onChange;
  }

  /**
   * Appends the events of one request, all or none, in one atomic commit.
   *
   * @param pipeline Whose log.
   * @param events The events, one at least.
   * @param key The idempotency key, if the publisher sent one.
   * @returns Where the events are, once they are durable.
   * @throws {RunnelError} `overloaded` or `log-unavailable` if nothing was
   *   stored, `outcome-unknown` if that is not known, `key-reused` if the key
   *   came with other events within 24 hours.
   */
  async append(pipeline: string, events: readonly NewEvent[], key?: string): Promise<Receipt> {
    const bytes = requestBytes(events);
    using _held = this.#backlog.add(bytes);
    const idempotency = key === undefined ? undefined : await hashIdempotency(key, events);
    if (this.#closed) throw new RunnelError("draining", "Cannot publish: closing");
    return await this.#writer(pipeline).append(events, bytes, idempotency);
  }

  #writer(pipeline: string): LogWriter {
    let writer = this.#writers.get(pipeline);
    if (!writer) {
      this.#forgetIdleWriters();
      writer = new LogWriter(pipeline, {
        ...this.#options,
        onCommit: (commit) => this.#deliver(commit),
        onTrim: (pipeline, oldest) => this.#sweeper.add(pipeline, oldest),
      });
      this.#writers.set(pipeline, writer);
    }
    return writer;
  }

  /** What goes wrong with delivery is no failure of the change, which stands. */
  #deliver(change: Change): void {
    try {
      this.#onChange(change);
    } catch (error) {
      this.#options.runtime.report(`Cannot deliver a change of ${change.pipeline}`, error);
    }
  }

  #forgetIdleWriters(): void {
    for (const [pipeline, writer] of this.#writers) {
      if (this.#writers.size < MAX_IDLE_WRITERS) return;
      if (writer.idle) this.#writers.delete(pipeline);
    }
  }

  /**
   * Resolves when the commit of a pipeline that is under way here, if any, is over.
   *
   * @param pipeline Whose.
   */
  async waitForCommit(pipeline: string): Promise<void> {
    await this.#writers.get(pipeline)?.waitForCommit();
  }

  /** As {@linkcode HeadStore.read}. */
  head(pipeline: string): Promise<Head | null> {
    return this.#heads.read(pipeline);
  }

  /** As {@linkcode HeadStore.readAll}. */
  heads(pipelines: readonly string[]): Promise<(Head | null)[]> {
    return this.#heads.readAll(pipelines);
  }

  /** As {@linkcode HeadStore.ensureHead}. */
  ensureHead(pipeline: string): Promise<Head> {
    return this.#heads.ensureHead(pipeline);
  }

  /** As {@linkcode LogReader.readAfter}. */
  readAfter(pipeline: string, sequence: number, maxBytes: number): Promise<Page | null> {
    return this.#reader.readAfter(pipeline, sequence, maxBytes);
  }

  /**
   * Clears a pipeline's history. Sequences go on and the epoch stays, so a
   * subscriber that was away learns how many events it missed.
   *
   * @param pipeline Whose.
   * @returns The head after the clear, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async clear(pipeline: string): Promise<Head | null> {
    const head = await this.#heads.clear(pipeline);
    if (head) this.#deliver({ pipeline, epoch: head.epoch, oldest: head.oldest });
    // Also where it was clear: the sweep of then may have failed.
    if (head) this.#sweeper.add(pipeline, head.oldest);
    return head;
  }

  /** As {@linkcode TicketStore.read}. */
  readTicket(hash: string): Promise<TicketEntry | null> {
    return this.#tickets.read(hash);
  }

  /** As {@linkcode TicketStore.generations}. */
  ticketGenerations(hashes: readonly string[]): Promise<(number | null)[]> {
    return this.#tickets.generations(hashes);
  }

  /** As {@linkcode TicketStore.write}. */
  writeTicket(
    hash: string,
    ticket: Ticket,
    versionstamp: string | null,
    expireIn: number,
  ): Promise<boolean> {
    return this.#tickets.write(hash, ticket, versionstamp, expireIn);
  }

  /**
   * Asks whether the log takes events. It writes: a full disk can still be read.
   *
   * @param ms How long it may take, in milliseconds.
   * @throws {RunnelError} `log-unavailable` if the log does not take them.
   */
  async ping(ms: number): Promise<void> {
    await this.#options.kv.call((kv) => kv.atomic().set(PING_KEY, true).commit(), {
      ms,
      as: "log-unavailable",
    });
  }

  /** Stops: what waits is refused, what is under way is heard to its end, the store is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    const writers = this.#writers.values().map((writer) => writer.close());
    await Promise.all([...writers, this.#sweeper.close()]);
    this.#options.kv.close();
  }
}
