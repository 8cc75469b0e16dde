/**
 * The hub of one isolate: appends published events to the log and delivers them
 * to its subscribers.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type {
  EventPage,
  HistoryPage,
  PublishOptions,
  Receipt,
  StandingAppend,
} from "../log/mod.ts";
import { type HistoryRange, type NewEvent, type Position, rangeOfNewest } from "../protocol/mod.ts";
import {
  EVENT_STREAM,
  type Feed,
  JSON_LINES,
  KeepAliveWheel,
  Subscriber,
  type Syntax,
} from "../stream/mod.ts";
import type { Append } from "./append.ts";
import { type AppendLimits, type AppendOpening, Appends } from "./appends.ts";
import { openFeeds } from "./feeds.ts";
import {
  Histories,
  type HistoryLimits,
  type HistoryRequest,
  type PageRequest,
} from "./histories.ts";
import { HistoryStarts } from "./history_starts.ts";
import { InFlightPublishes } from "./in_flight.ts";
import { PagePolls, type PollRequest } from "./page_polls.ts";
import {
  type CanaryStats,
  PipelineRegistry,
  type PipelineRegistryOptions,
} from "./pipeline_registry.ts";
import { type SubscriberLimits, SubscriberQuota } from "./subscriber_quota.ts";
import type { Subscription } from "./subscription.ts";
import type { RepairCause } from "./tail.ts";

/** Options for {@linkcode Hub}. */
export interface HubOptions
  extends PipelineRegistryOptions, SubscriberLimits, HistoryLimits, AppendLimits {
  /** Interval between two keep-alives of a stream, in milliseconds. */
  keepAliveMs: number;
  /** Minimum reconnection time that subscribers are told, in milliseconds. */
  retryMs: number;
  /** Maximum age of a stream, ±20 %, in milliseconds. */
  maxStreamAgeMs: number;
}

/** Reconnection time of a client that polls, in milliseconds. */
const POLL_RETRY_MS = 100;

/** Publishers and subscribers of an isolate. */
export class Hub {
  readonly #options: HubOptions;
  /** Range of the history of a client that asks for none. */
  readonly #history: HistoryRange;
  readonly #pipelines: PipelineRegistry;
  readonly #histories: Histories;
  readonly #keepAliveWheel: KeepAliveWheel;
  readonly #subscriberQuota: SubscriberQuota;
  readonly #polls: PagePolls;
  readonly #appends: Appends;
  readonly #publishes = new InFlightPublishes();
  readonly #draining = new AbortController();
  #ping: Promise<void> | null = null;

  /**
   * Creates the hub of an isolate.
   *
   * @param options The log, its synchronization, and the limits.
   */
  constructor(options: HubOptions) {
    this.#options = options;
    this.#history = rangeOfNewest(options.history);
    const starts = new HistoryStarts(options.log);
    this.#pipelines = new PipelineRegistry(options, starts);
    this.#histories = new Histories(options, starts);
    this.#keepAliveWheel = new KeepAliveWheel(
      options.runtime,
      options.keepAliveMs,
      () => this.#pipelines.renewLeases(),
    );
    this.#subscriberQuota = new SubscriberQuota(options);
    this.#polls = new PagePolls({
      histories: this.#histories,
      quota: this.#subscriberQuota,
      subscribe: (...subscription) => this.subscribe(...subscription),
    });
    this.#appends = new Appends(options, (...publish) => this.publish(...publish));
  }

  /** Number of repairs of tails, by the signal that caused them. */
  get repairs(): Record<RepairCause, number> {
    return this.#pipelines.repairs;
  }

  /** Number of events that each live pipeline was behind the log when that was last compared. */
  get behind(): Map<string, number> {
    return this.#pipelines.behind;
  }

  /** The part of the gauges that is of canaries. */
  get canaries(): CanaryStats {
    return this.#pipelines.canaries;
  }

  /** Gauges of what is in memory now. */
  get stats(): {
    pipelines: number;
    subscribers: number;
    places: number;
    histories: number;
    publishing: number;
    appends: number;
    tailBytes: number;
  } {
    return {
      pipelines: this.#pipelines.size,
      subscribers: this.#keepAliveWheel.size,
      places: this.#subscriberQuota.inUse,
      histories: this.#histories.inUse,
      publishing: this.#publishes.size,
      appends: this.#appends.inUse,
      tailBytes: this.#pipelines.tailBytes,
    };
  }

  /**
   * Signal that is aborted when the drain begins. Its reason is the error with
   * which new work is refused from then on.
   */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /**
   * Publishes the events of one request, all or none.
   *
   * @param pipeline The pipeline's ID.
   * @param events The events, in order, at least one unless they end the run.
   * @param options Idempotency key, and whether the run ends after the events.
   * @returns The positions of the events, once they are durable.
   * @throws {RunnelError} As {@linkcode EventLog.append}; `draining` if this
   *   isolate is draining.
   */
  async publish(
    pipeline: string,
    events: readonly NewEvent[],
    options: PublishOptions = {},
  ): Promise<Receipt> {
    this.draining.throwIfAborted();
    const receipt = await this.#publishes.add(
      this.#options.log.append(pipeline, events, options),
    );
    const { epoch, first, count, end } = receipt;
    const sequence = end ?? first + count - 1;
    this.#pipelines.get(pipeline)?.awaitBroadcast({ epoch, sequence });
    return receipt;
  }

  /** Calls {@linkcode Appends.open}. */
  async openAppend(pipeline: string, opening: AppendOpening): Promise<Append> {
    this.draining.throwIfAborted();
    return await this.#appends.open(pipeline, opening);
  }

  /** Calls {@linkcode EventLog.readAppend}. */
  readAppend(pipeline: string, key: string, publisher?: string): Promise<StandingAppend | null> {
    return this.#options.log.readAppend(pipeline, key, publisher);
  }

  /**
   * Throws if there is no room for a subscriber, before its ticket is spent: a
   * ticket can be spent only once.
   *
   * @param pipelines IDs of the pipelines of its stream.
   * @param address Address of the client, if it is counted by address.
   * @throws {RunnelError} `draining`, `overloaded` or `too-many-requests`: all are transient.
   */
  assertCapacity(pipelines: readonly string[], address: string | null): void {
    this.draining.throwIfAborted();
    this.#subscriberQuota.assertRoom(pipelines, address);
    this.#pipelines.assertCapacity(pipelines);
  }

  /**
   * Subscribes to a pipeline, or to several with one stream.
   *
   * @param pipelines ID of the pipeline, or IDs of the pipelines: none twice.
   * @param subscription Position, filter and limits of the stream.
   * @returns The stream. Cancelling it ends the subscription.
   * @throws {RunnelError} `draining`, `overloaded`, `too-many-requests` or
   *   `log-unavailable`: all are transient; `run-ended` for a client that has all events
   *   of runs that have ended.
   */
  async subscribe(
    pipelines: string | readonly string[],
    subscription: Subscription = {},
  ): Promise<ReadableStream<Uint8Array>> {
    const { runtime, maxStreamAgeMs } = this.#options;
    const { clock, random } = runtime;
    const { connectionClosed, signal, revoked, onClose, waitMs } = subscription;
    const ids = typeof pipelines === "string" ? [pipelines] : pipelines;
    const now = clock.monotonic();
    const endsAt = now + maxStreamAgeMs * (0.8 + 0.4 * random());
    // What is left of its token now is what it gets, however the wall clock is set later.
    const expiresAt = now + (subscription.endsAt ?? Infinity) - clock.now();
    let place: Disposable | null = null;
    let timer: Disposable | null = null;
    let pollTimer: Disposable | null = null;
    try {
      this.draining.throwIfAborted();
      place = this.#subscriberQuota.acquire(ids, subscription.address ?? null);
      if (connectionClosed) disposeAfter(connectionClosed, place);
      const subscriber = new Subscriber({
        feeds: await this.#openFeeds(ids, subscription, typeof pipelines !== "string"),
        syntax: syntaxOf(subscription),
        announcesStart: subscription.announcesStart,
        isPoll: waitMs !== undefined,
        retryMs: this.#retryMs(waitMs !== undefined),
        endsAt,
        expiresAt,
        runtime,
        onClose: (subscriber) => {
          timer?.[Symbol.dispose]();
          pollTimer?.[Symbol.dispose]();
          this.#keepAliveWheel.delete(subscriber);
          if (!connectionClosed) place?.[Symbol.dispose]();
          onClose?.();
        },
      });
      this.#keepAliveWheel.add(subscriber);
      // The age is checked with each keep-alive; an expiry is kept to the millisecond.
      if (expiresAt < endsAt) {
        timer = clock.after(expiresAt - clock.monotonic(), () => subscriber.end("expired"));
      }
      if (waitMs === 0) subscriber.endPoll();
      else if (waitMs !== undefined) pollTimer = clock.after(waitMs, () => subscriber.endPoll());
      // The drain may have begun while the log was read, and so may the others.
      if (this.draining.aborted) subscriber.end();
      whenAborted(signal, () => subscriber.end());
      whenAborted(revoked, () => subscriber.end("revoked"));
      await subscription.onStart?.(subscriber.starts);
      return subscriber.body;
    } catch (error) {
      place?.[Symbol.dispose]();
      onClose?.();
      throw error;
    }
  }

  #openFeeds(
    ids: readonly string[],
    subscription: Subscription,
    joined: boolean,
  ): Promise<Feed[]> {
    const pipelines = this.#pipelines.hold(ids);
    return openFeeds(pipelines, {
      subscription,
      history: this.#history,
      syntax: syntaxOf(subscription),
      joined,
    });
  }

  /** Returns the reconnection time of a stream, in milliseconds. */
  #retryMs(isPoll: boolean): number {
    // A client that polls has to come back at once.
    if (isPoll) return POLL_RETRY_MS;
    const { retryMs, runtime: { random } } = this.#options;
    return Math.round(retryMs * (1 + random()));
  }

  /** Calls {@linkcode Histories.read}. */
  history(
    pipeline: string,
    request: HistoryRequest = {},
  ): AsyncGenerator<HistoryPage, void> {
    return this.#histories.read(pipeline, request);
  }

  /** Calls {@linkcode Histories.readPage}. */
  page(pipeline: string, request: PageRequest): Promise<EventPage> {
    return this.#histories.readPage(pipeline, request);
  }

  /** Calls {@linkcode PagePolls.read}. */
  async poll(pipeline: string, request: PollRequest): Promise<EventPage> {
    this.draining.throwIfAborted();
    return await this.#polls.read(pipeline, request);
  }

  /** Calls {@linkcode Histories.readPosition}. */
  position(pipeline: string, address: string | null): Promise<Position> {
    return this.#histories.readPosition(pipeline, address);
  }

  /**
   * Clears the history of a pipeline. Subscribers stay connected.
   *
   * @param pipeline The pipeline's ID.
   * @throws {RunnelError} `log-unavailable` if the log does not answer; `draining`.
   */
  async clear(pipeline: string): Promise<void> {
    this.draining.throwIfAborted();
    const head = await this.#options.log.clear(pipeline);
    if (head) this.#pipelines.get(pipeline)?.clearBelow(head);
  }

  /**
   * Deletes a pipeline with all its records. Subscribers stay connected: they
   * receive a gap.
   *
   * @param pipeline The pipeline's ID.
   * @throws {RunnelError} `log-unavailable` if the log does not answer; `draining`.
   */
  async delete(pipeline: string): Promise<void> {
    this.draining.throwIfAborted();
    const head = await this.#options.log.delete(pipeline);
    if (head) this.#pipelines.get(pipeline)?.clearBelow(head);
  }

  /**
   * Resolves if new work is accepted and the log answers.
   *
   * @param ms Deadline of the log, in milliseconds.
   * @throws {RunnelError} `draining` or `log-unavailable`.
   */
  async ready(ms: number): Promise<void> {
    this.draining.throwIfAborted();
    // One ping answers all callers that come meanwhile: it is a write.
    this.#ping ??= this.#options.log.ping(ms).finally(() => this.#ping = null);
    await this.#ping;
  }

  /**
   * Starts to drain: refuses new work, and waits for the publishes in flight.
   * Publishers that wait longer are told that the outcome of their publish is
   * unknown.
   *
   * @param ms Maximum time that publishes are waited for, in milliseconds.
   */
  async stopPublishing(ms: number): Promise<void> {
    this.#draining.abort(
      new RunnelError("draining", "Cannot take this: the instance is about to end. Try again"),
    );
    await this.#publishes.end(this.#options.runtime.clock, ms);
  }

  /**
   * Reads the last events of other isolates from the log, once none of them
   * publishes any more.
   *
   * @param ms Maximum time for that, in milliseconds.
   */
  async catchUp(ms: number): Promise<void> {
    await this.#pipelines.catchUp(ms);
  }

  /**
   * Ends every stream with its last events, after {@linkcode Hub.stopPublishing}.
   * Does not wait for a stream whose client does not read.
   */
  async close(): Promise<void> {
    await this.#pipelines.close();
  }
}

function syntaxOf({ asLines }: Subscription): Syntax {
  return asLines ? JSON_LINES : EVENT_STREAM;
}

/** Disposes of something when a promise has settled. */
function disposeAfter(settled: Promise<unknown>, resource: Disposable): void {
  // In a scope of its own: for as long as a connection is open, this holds nothing else.
  const dispose = () => resource[Symbol.dispose]();
  settled.then(dispose, dispose);
}

/** Calls a function when a signal is aborted, or at once if it is already. */
function whenAborted(signal: AbortSignal | undefined, run: () => void): void {
  if (signal?.aborted) run();
  else signal?.addEventListener("abort", run);
}
