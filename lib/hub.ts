/**
 * The pipelines of this isolate: what is published is appended to the log and
 * handed to those who listen, here and in other isolates.
 *
 * @module
 */

import { ChannelFilter } from "./channel_filter.ts";
import type { Clock } from "./clock.ts";
import { RunnelError } from "./errors.ts";
import type { AcceptedEvent, NewEvent } from "./event.ts";
import type { Log } from "./event_log.ts";
import type { Head } from "./head.ts";
import type { HeadWatches } from "./head_watch.ts";
import { KeepAlive } from "./keep_alive.ts";
import type { Commit, Receipt } from "./log_writer.ts";
import { PageReader } from "./page_reader.ts";
import { Pipeline, type RepairCause } from "./pipeline.ts";
import type { PipelineChannels, PipelineMessage } from "./pipeline_channel.ts";
import { Reconcile } from "./reconcile.ts";
import type { Report } from "./report.ts";
import { Turns } from "./turns.ts";

/** What a pipeline's tail keeps beyond its history, in bytes. */
const TAIL_BYTES = 2 * 1024 * 1024;

/** How many histories are read at once, and how many wait for that. */
const MAX_HISTORY_READS = 2;
const MAX_WAITING_HISTORIES = 32;

/** How long streams that end may wait for the last events of other isolates, in milliseconds. */
const CATCH_UP_MS = 300;

/** What a {@linkcode Hub} works with. */
export interface HubOptions {
  /** The log. The hub listens to it. */
  log: Log;
  /** The way to other isolates, if there are any. */
  channels: PipelineChannels | null;
  /** The way to hear of other processes, if there are any. The hub listens to it. */
  watches: HeadWatches | null;
  /** After how long each pipeline is compared with the log, in milliseconds; `null` for never. */
  reconcileMs: number | null;
  /** Whose time it is. */
  clock: Clock;
  /** A number from 0 up to 1, for jitter. */
  random: () => number;
  /** How many events a fresh subscriber gets. */
  history: number;
  /** The time between two keep-alives of a stream, in milliseconds. */
  keepAliveMs: number;
  /** The least reconnection time that subscribers are told, in milliseconds. */
  retryMs: number;
  /** After how long a stream ends by itself, give or take a fifth, in milliseconds. */
  maxStreamAgeMs: number;
  /** How many subscribers are taken. */
  maxSubscribers: number;
  /** How many bytes the tails of all pipelines may take together. */
  maxTailBytes: number;
  /** Hears of trouble that nobody else is told of. */
  report: Report;
}

/** What a subscriber asks for. */
export interface Subscription {
  /** The last event ID that it brings. */
  lastEventId?: string | undefined;
  /** How many events of the history it wants, where it brings no ID of this log. */
  history?: number | undefined;
  /** The channels that it wants; all without any. */
  channels?: readonly string[] | undefined;
  /**
   * Settles when its connection is over, which may be long after its stream was
   * closed: the runtime keeps the connection of a client that does not read.
   */
  completed?: Promise<unknown> | undefined;
}

/** A pipeline with what holds it here. */
interface Live {
  pipeline: Pipeline;
  /** Subscribers that are on their way in. */
  arriving: number;
  channel: Disposable | null;
}

/** The pipelines of this isolate. */
export class Hub {
  readonly #options: HubOptions;
  readonly #live = new Map<string, Live>();
  readonly #pages: PageReader;
  readonly #keepAlive: KeepAlive;
  /** Publishes under way, as what ends their waiting. */
  readonly #publishing = new Set<(error: RunnelError) => void>();
  readonly #histories = new Turns(MAX_HISTORY_READS, MAX_WAITING_HISTORIES);
  /** Subscribers that are here or on their way, and connections that outlive theirs. */
  #places = 0;
  /** Bytes that the tails took in since they were last counted. */
  #growth = 0;
  /** Runs while there are pipelines. */
  #reconcile: Reconcile | null = null;
  /** Repairs of pipelines that are live no more. */
  readonly #pastRepairs: Record<RepairCause, number> = { gap: 0, watch: 0, reconcile: 0 };
  #draining = false;
  #onIdle = () => {};

  /**
   * Makes a hub without pipelines.
   *
   * @param options What it works with.
   */
  constructor(options: HubOptions) {
    this.#options = options;
    this.#pages = new PageReader(options.log);
    this.#keepAlive = new KeepAlive(options.clock, options.keepAliveMs);
    options.log.listen((commit) => this.#onCommit(commit));
    options.watches?.listen((pipeline, head) => this.#compare(pipeline, head, "watch"));
  }

  #startReconcile(): Reconcile | null {
    const { log, clock, report, reconcileMs } = this.#options;
    if (reconcileMs === null) return null;
    return new Reconcile({
      clock,
      report,
      periodMs: reconcileMs,
      pipelines: () => this.#live.keys(),
      heads: (pipelines) => log.heads(pipelines),
      onHead: (pipeline, head) => this.#compare(pipeline, head, "reconcile"),
    });
  }

  async #compare(pipeline: string, head: Head | null, cause: RepairCause): Promise<void> {
    const { watches, report } = this.#options;
    try {
      const wasBehind = await this.#live.get(pipeline)?.pipeline.compare(head, cause);
      // Its watch should have told before.
      if (wasBehind && cause === "reconcile") watches?.renew(pipeline);
    } catch (error) {
      report(`Cannot repair the tail of ${pipeline}`, error);
    }
  }

  /** How often tails had to be repaired, by how that was learned. */
  get repairs(): Record<RepairCause, number> {
    const sum = { ...this.#pastRepairs };
    for (const { pipeline } of this.#live.values()) addRepairs(sum, pipeline.repairs);
    return sum;
  }

  /** How many events each live pipeline was behind the log when that was last compared. */
  get behind(): Map<string, number> {
    return new Map(this.#live.entries().map(([id, { pipeline }]) => [id, pipeline.behind]));
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
      pipelines: this.#live.size,
      subscribers: this.#keepAlive.size,
      places: this.#places,
      publishing: this.#publishing.size,
      tailBytes: this.#live.values().reduce((sum, { pipeline }) => sum + pipeline.tailBytes, 0),
    };
  }

  /**
   * Publishes the events of one request, all or none.
   *
   * @param pipeline Where to.
   * @param events The events, in order.
   * @param key The idempotency key, if the publisher sent one.
   * @returns Where the events are, once they are durable.
   * @throws {RunnelError} As {@linkcode EventLog.append}; `draining` if this
   *   isolate is about to end.
   */
  async publish(pipeline: string, events: readonly NewEvent[], key?: string): Promise<Receipt> {
    this.#refuseWhileDraining();
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
    this.#publishing.add(reject);
    this.#options.log.append(pipeline, events, key).then(resolve, reject);
    try {
      const receipt = await promise;
      // Another isolate may have made the commit, and its word may be lost.
      const { epoch, first, count } = receipt;
      this.#live.get(pipeline)?.pipeline.expect(epoch, first + count - 1);
      return receipt;
    } finally {
      this.#publishing.delete(reject);
      if (this.#publishing.size === 0) this.#onIdle();
    }
  }

  #refuseWhileDraining(): void {
    if (!this.#draining) return;
    throw new RunnelError("draining", "Cannot take this: the instance is about to end. Try again");
  }

  #onCommit(commit: Commit): void {
    const { pipeline, ...message } = commit;
    this.#live.get(pipeline)?.pipeline.receive(commit);
    this.#options.channels?.post(pipeline, message);
  }

  #onMessage(pipeline: string, message: PipelineMessage): void {
    const live = this.#live.get(pipeline);
    if ("segments" in message) live?.pipeline.receive({ pipeline, ...message });
    else live?.pipeline.clearBelow(message.epoch, message.oldest);
  }

  /** Counts the tails now and then, and shrinks them all where they are too much. */
  #grow(bytes: number): void {
    const { maxTailBytes } = this.#options;
    this.#growth += bytes;
    if (this.#growth < maxTailBytes / 16) return;
    this.#growth = 0;
    if (this.stats.tailBytes < maxTailBytes * 15 / 16) return;
    for (const { pipeline } of this.#live.values()) {
      pipeline.shrink(maxTailBytes / 2 / this.#live.size);
    }
  }

  /**
   * Subscribes to a pipeline.
   *
   * @param pipeline Whose events.
   * @param subscription What is asked for.
   * @returns The event stream. Cancelling it ends the subscription.
   * @throws {RunnelError} `draining`, `overloaded` or `log-unavailable`: all pass.
   */
  async subscribe(
    pipeline: string,
    subscription: Subscription = {},
  ): Promise<ReadableStream<Uint8Array>> {
    this.#refuseWhileDraining();
    const { clock, random, history, retryMs, maxStreamAgeMs } = this.#options;
    const leavePlace = this.#takePlace();
    const { completed } = subscription;
    completed?.then(leavePlace, leavePlace);
    const live = this.#enter(pipeline);
    try {
      const subscriber = await live.pipeline.subscribe({
        lastEventId: subscription.lastEventId,
        history: Math.min(subscription.history ?? history, history),
        filter: new ChannelFilter(subscription.channels ?? []),
        retryMs: Math.round(retryMs * (1 + random())),
        endsAt: clock.now() + maxStreamAgeMs * (0.8 + 0.4 * random()),
        onGone: (subscriber) => {
          this.#keepAlive.delete(subscriber);
          this.#leaveIfUnused(pipeline, live);
          if (!completed) leavePlace();
        },
      });
      this.#keepAlive.add(subscriber);
      // It began to drain while the log was read.
      if (this.#draining) subscriber.end();
      return subscriber.body;
    } catch (error) {
      leavePlace();
      throw error;
    } finally {
      live.arriving--;
      this.#leaveIfUnused(pipeline, live);
    }
  }

  /** Takes a place, and returns what gives it back, once. */
  #takePlace(): () => void {
    if (this.#places >= this.#options.maxSubscribers) {
      throw new RunnelError("overloaded", "Cannot subscribe: this instance is full. Try again");
    }
    this.#places++;
    let isTaken = true;
    return () => {
      if (isTaken) this.#places--;
      isTaken = false;
    };
  }

  #enter(id: string): Live {
    let live = this.#live.get(id);
    if (!live) {
      const { log, clock, channels, watches, history, report } = this.#options;
      live = {
        pipeline: new Pipeline(id, {
          log,
          clock,
          pages: this.#pages,
          limits: { events: history, bytes: TAIL_BYTES },
          committed: () => log.committed(id),
          onGrowth: (bytes) => this.#grow(bytes),
          report,
        }),
        arriving: 0,
        // Before the log is read, so that nothing falls in between.
        channel: channels?.join(id, (message) => this.#onMessage(id, message)) ?? null,
      };
      this.#live.set(id, live);
      watches?.add(id);
      this.#reconcile ??= this.#startReconcile();
    }
    live.arriving++;
    return live;
  }

  #leaveIfUnused(id: string, live: Live): void {
    if (live.arriving > 0 || live.pipeline.subscribers.size > 0) return;
    if (this.#live.get(id) !== live) return;
    this.#live.delete(id);
    addRepairs(this.#pastRepairs, live.pipeline.repairs);
    this.#options.watches?.delete(id);
    live.channel?.[Symbol.dispose]();
    live.pipeline[Symbol.dispose]();
    if (this.#live.size === 0) this.#stopReconcile();
  }

  #stopReconcile(): void {
    this.#reconcile?.[Symbol.dispose]();
    this.#reconcile = null;
  }

  /**
   * The newest events of a pipeline, oldest first.
   *
   * @param pipeline Whose.
   * @param count How many at most.
   * @throws {RunnelError} `log-unavailable` if the log does not answer,
   *   `overloaded` if too many ask.
   */
  async history(
    pipeline: string,
    count: number,
  ): Promise<{ epoch: string; events: AcceptedEvent[] }> {
    return await this.#histories.run(() => this.#readHistory(pipeline, count));
  }

  async #readHistory(
    pipeline: string,
    count: number,
  ): Promise<{ epoch: string; events: AcceptedEvent[] }> {
    const { log } = this.#options;
    const events: AcceptedEvent[] = [];
    const head = await log.head(pipeline);
    if (!head) return { epoch: "", events };
    let after = Math.max(0, head.sequence - count);
    while (after < head.sequence) {
      const page = await log.readAfter(pipeline, after, Infinity);
      if (page?.epoch !== head.epoch) break;
      events.push(...page.events.filter(({ sequence }) => sequence <= head.sequence));
      after = page.events.at(-1)?.sequence ?? page.after;
    }
    return { epoch: head.epoch, events };
  }

  /**
   * Clears the history of a pipeline. Who is connected stays so.
   *
   * @param pipeline Whose.
   * @throws {RunnelError} `log-unavailable` if the log does not answer; `draining`.
   */
  async clear(pipeline: string): Promise<void> {
    this.#refuseWhileDraining();
    const head = await this.#options.log.clear(pipeline);
    if (!head) return;
    const { epoch, oldest } = head;
    this.#options.channels?.post(pipeline, { epoch, oldest });
    this.#live.get(pipeline)?.pipeline.clearBelow(epoch, oldest);
  }

  /**
   * Resolves if new work is taken and the log answers.
   *
   * @param ms How long the log may take, in milliseconds.
   * @throws {RunnelError} `draining` or `log-unavailable`.
   */
  async ready(ms: number): Promise<void> {
    this.#refuseWhileDraining();
    await this.#options.log.ping(ms);
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
    this.#draining = true;
    if (this.#publishing.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      using _timer = this.#options.clock.after(ms, resolve);
      await promise;
    }
    for (const refuse of this.#publishing) {
      refuse(
        new RunnelError(
          "outcome-unknown",
          "Cannot confirm the publish: this instance is about to end, and the events may have been " +
            "stored. Publish them again with the same Idempotency-Key, and they are stored once",
        ),
      );
    }
    if (others) {
      await others();
      await this.#catchUp();
    }
    for (const { pipeline } of this.#live.values()) {
      for (const subscriber of pipeline.subscribers) subscriber.end();
    }
    this.#stopReconcile();
    this.#options.channels?.[Symbol.dispose]();
    await this.#options.watches?.close();
  }

  /** Reads what other isolates published last, whose word may still be on its way. */
  async #catchUp(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#options.clock.after(CATCH_UP_MS, resolve);
    const repairs = this.#live.values().map(({ pipeline }) => pipeline.repair());
    await Promise.race([promise, Promise.allSettled(repairs)]);
  }
}

function addRepairs(
  sum: Record<RepairCause, number>,
  repairs: Readonly<Record<RepairCause, number>>,
): void {
  sum.gap += repairs.gap;
  sum.watch += repairs.watch;
  sum.reconcile += repairs.reconcile;
}
