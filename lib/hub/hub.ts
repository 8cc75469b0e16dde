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
import type { NewEvent, Position } from "../protocol/mod.ts";
import type { Append } from "./append.ts";
import { type AppendLimits, type AppendOpening, Appends } from "./appends.ts";
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
import { SharedPages } from "./shared_pages.ts";
import { Streams, type StreamsOptions } from "./streams.ts";
import type { Subscription } from "./subscription.ts";
import type { RepairCause } from "./tail.ts";

/** Options for {@linkcode Hub}. */
export interface HubOptions
  extends PipelineRegistryOptions, StreamsOptions, HistoryLimits, AppendLimits {}

/** Publishers and subscribers of an isolate. */
export class Hub {
  readonly #options: HubOptions;
  readonly #pipelines: PipelineRegistry;
  readonly #histories: Histories;
  readonly #streams: Streams;
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
    const starts = new HistoryStarts(options.log, options.runtime.clock);
    this.#pipelines = new PipelineRegistry(options, starts);
    this.#histories = new Histories(options, starts);
    this.#streams = new Streams(options, this.#pipelines, this.draining);
    this.#polls = new PagePolls({
      pages: new SharedPages((...page) => this.#histories.readUncounted(...page)),
      quota: this.#streams.quota,
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
      subscribers: this.#streams.size,
      places: this.#streams.quota.inUse,
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
    this.#streams.quota.assertRoom(pipelines, address);
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
  subscribe(
    pipelines: string | readonly string[],
    subscription: Subscription = {},
  ): Promise<ReadableStream<Uint8Array>> {
    return this.#streams.open(pipelines, subscription);
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
