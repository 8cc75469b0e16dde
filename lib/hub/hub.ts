/**
 * All that an isolate does: what is published is appended to the log and handed
 * to those who listen, here and in other isolates.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import { type History, HistoryReader, type Receipt } from "../log/mod.ts";
import { ChannelFilter, type NewEvent, type Position } from "../protocol/mod.ts";
import { KeepAliveWheel } from "../stream/mod.ts";
import { InFlightPublishes } from "./in_flight.ts";
import { PipelineRegistry, type PipelineRegistryOptions } from "./pipeline_registry.ts";
import { type SubscriberLimits, SubscriberQuota } from "./subscriber_quota.ts";
import type { RepairCause } from "./tail.ts";

/** How long streams that end may wait for the last events of other isolates, in milliseconds. */
const CATCH_UP_MS = 300;

/** What a {@linkcode Hub} works with. */
export interface HubOptions extends PipelineRegistryOptions, SubscriberLimits {
  /** The time between two keep-alives of a stream, in milliseconds. */
  keepAliveMs: number;
  /** The least reconnection time that subscribers are told, in milliseconds. */
  retryMs: number;
  /** After how long a stream ends by itself, give or take a fifth, in milliseconds. */
  maxStreamAgeMs: number;
}

/** What a subscriber asks for. */
export interface Subscription {
  /** The last event ID that it brings. */
  lastEventId?: string | undefined;
  /** How many events of the history it wants, where it brings no ID of this log. */
  history?: number | undefined;
  /** The channels that it wants; all without any. */
  channels?: readonly string[] | undefined;
  /** The client's address; `null` for one that is not counted by it. */
  address?: string | null | undefined;
  /** A position that the log has: its stream does not begin with what is older than that. */
  notBefore?: Position | undefined;
  /** When it ends at the latest, in milliseconds since the Unix epoch: that of its token. */
  endsAt?: number | undefined;
  /** Ends it, when another stream takes its place. */
  signal?: AbortSignal | undefined;
  /** Hears when it is over. */
  onClose?: (() => void) | undefined;
  /**
   * Settles when its connection is over, which may be long after its stream was
   * closed: the runtime keeps the connection of a client that does not read.
   */
  connectionClosed?: Promise<unknown> | undefined;
}

/** An isolate's publishers and subscribers. */
export class Hub {
  readonly #options: HubOptions;
  readonly #pipelines: PipelineRegistry;
  readonly #histories: HistoryReader;
  readonly #keepAliveWheel: KeepAliveWheel;
  readonly #subscriberQuota: SubscriberQuota;
  readonly #publishes = new InFlightPublishes();
  readonly #draining = new AbortController();
  #ping: Promise<void> | null = null;

  /**
   * Makes a hub without publishers and subscribers.
   *
   * @param options What it works with.
   */
  constructor(options: HubOptions) {
    this.#options = options;
    this.#pipelines = new PipelineRegistry(options);
    this.#histories = new HistoryReader(options.log);
    this.#keepAliveWheel = new KeepAliveWheel(options.runtime, options.keepAliveMs);
    this.#subscriberQuota = new SubscriberQuota(options);
  }

  /** How often tails had to be repaired, by how that was learned. */
  get repairs(): Record<RepairCause, number> {
    return this.#pipelines.repairs;
  }

  /** How many events each live pipeline was behind the log when that was last compared. */
  get behind(): Map<string, number> {
    return this.#pipelines.behind;
  }

  /** What is held here now. */
  get stats(): {
    pipelines: number;
    subscribers: number;
    places: number;
    publishing: number;
    tailBytes: number;
  } {
    return {
      pipelines: this.#pipelines.size,
      subscribers: this.#keepAliveWheel.size,
      places: this.#subscriberQuota.inUse,
      publishing: this.#publishes.size,
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
   * InFlightPublishes the events of one request, all or none.
   *
   * @param pipeline Where to.
   * @param events The events, in order.
   * @param key The idempotency key, if the publisher sent one.
   * @returns Where the events are, once they are durable.
   * @throws {RunnelError} As {@linkcode EventLog.append}; `draining` if this
   *   isolate is about to end.
   */
  async publish(pipeline: string, events: readonly NewEvent[], key?: string): Promise<Receipt> {
    this.draining.throwIfAborted();
    const receipt = await this.#publishes.add(this.#options.log.append(pipeline, events, key));
    const { epoch, first, count } = receipt;
    this.#pipelines.get(pipeline)?.awaitBroadcast({ epoch, sequence: first + count - 1 });
    return receipt;
  }

  /**
   * Refuses a subscriber that there is no room for, before it gives anything for
   * it: a ticket is spent but once.
   *
   * @param pipeline Whose subscriber it would be.
   * @param address Its address, if it is counted by it.
   * @throws {RunnelError} `draining`, `overloaded` or `too-many-requests`: all pass.
   */
  assertCapacity(pipeline: string, address: string | null): void {
    this.draining.throwIfAborted();
    using _place = this.#subscriberQuota.acquire(pipeline, address);
    this.#pipelines.assertCapacity(pipeline);
  }

  /**
   * Subscribes to a pipeline.
   *
   * @param pipeline Whose events.
   * @param subscription What is asked for.
   * @returns The event stream. Cancelling it ends the subscription.
   * @throws {RunnelError} `draining`, `overloaded`, `too-many-requests` or
   *   `log-unavailable`: all pass.
   */
  async subscribe(
    pipeline: string,
    subscription: Subscription = {},
  ): Promise<ReadableStream<Uint8Array>> {
    const { runtime: { clock, random }, history, retryMs, maxStreamAgeMs } = this.#options;
    const { connectionClosed, signal, onClose, notBefore } = subscription;
    const agedAt = clock.now() + maxStreamAgeMs * (0.8 + 0.4 * random());
    const endsAt = Math.min(agedAt, subscription.endsAt ?? Infinity);
    let place: Disposable | null = null;
    const leavePlace = () => place?.[Symbol.dispose]();
    let timer: Disposable | null = null;
    try {
      this.draining.throwIfAborted();
      place = this.#subscriberQuota.acquire(pipeline, subscription.address ?? null);
      connectionClosed?.then(leavePlace, leavePlace);
      const live = this.#pipelines.getOrCreate(pipeline);
      if (notBefore) live.awaitBroadcast(notBefore);
      const subscriber = await live.subscribe({
        lastEventId: subscription.lastEventId,
        history: Math.min(subscription.history ?? history, history),
        filter: new ChannelFilter(subscription.channels ?? []),
        retryMs: Math.round(retryMs * (1 + random())),
        endsAt,
        onClose: (subscriber) => {
          timer?.[Symbol.dispose]();
          this.#keepAliveWheel.delete(subscriber);
          if (!connectionClosed) leavePlace();
          onClose?.();
        },
      });
      this.#keepAliveWheel.add(subscriber);
      // Age is looked at with each keep-alive; a right that ends, ends then.
      if (endsAt < agedAt) timer = clock.after(endsAt - clock.now(), () => subscriber.end());
      signal?.addEventListener("abort", () => subscriber.end());
      // It began to drain, or its session was taken over, while the log was read.
      if (this.draining.aborted || signal?.aborted) subscriber.end();
      return subscriber.body;
    } catch (error) {
      leavePlace();
      onClose?.();
      throw error;
    }
  }

  /**
   * The newest events of a pipeline, oldest first.
   *
   * @param pipeline Whose.
   * @param count How many at most.
   * @throws {RunnelError} `log-unavailable` if the log does not answer,
   *   `overloaded` if too many ask.
   */
  history(pipeline: string, count: number): Promise<History> {
    return this.#histories.read(pipeline, count);
  }

  /**
   * Clears the history of a pipeline. Who is connected stays so.
   *
   * @param pipeline Whose.
   * @throws {RunnelError} `log-unavailable` if the log does not answer; `draining`.
   */
  async clear(pipeline: string): Promise<void> {
    this.draining.throwIfAborted();
    const head = await this.#options.log.clear(pipeline);
    if (head) this.#pipelines.get(pipeline)?.clearBelow(head);
  }

  /**
   * Resolves if new work is taken and the log answers.
   *
   * @param ms How long the log may take, in milliseconds.
   * @throws {RunnelError} `draining` or `log-unavailable`.
   */
  async ready(ms: number): Promise<void> {
    this.draining.throwIfAborted();
    // Whoever asks meanwhile is answered with it: a ping is a write.
    this.#ping ??= this.#options.log.ping(ms).finally(() => this.#ping = null);
    await this.#ping;
  }

  /**
   * Ends: new work is refused, publishes under way are waited for, every stream
   * gets its last events and its end. A stream that does not read is not waited
   * for.
   *
   * @param ms How long publishes are waited for, in milliseconds.
   * @param others Resolves once no other isolate publishes any more either.
   */
  async drain(
    ms: number,
    others?: () => Promise<unknown>,
  ): Promise<void> {
    this.#draining.abort(
      new RunnelError("draining", "Cannot take this: the instance is about to end. Try again"),
    );
    await this.#publishes.end(this.#options.runtime.clock, ms);
    if (others) {
      await others();
      await this.#pipelines.catchUp(CATCH_UP_MS);
    }
    await this.#pipelines.close();
  }
}
