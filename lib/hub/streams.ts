/**
 * The streams of an isolate: opens them within limits of their number, keeps them alive,
 * and ends them when their time is over.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";
import { type HistoryRange, rangeOfNewest } from "../protocol/mod.ts";
import {
  EVENT_STREAM,
  type Feed,
  JSON_LINES,
  KeepAliveWheel,
  Subscriber,
  type Syntax,
} from "../stream/mod.ts";
import { openFeeds } from "./feeds.ts";
import { LeaseRenewal } from "./lease_renewal.ts";
import type { PipelineRegistry } from "./pipeline_registry.ts";
import { type SubscriberLimits, SubscriberQuota } from "./subscriber_quota.ts";
import type { Subscription } from "./subscription.ts";

/** Reconnection time of a client that polls, in milliseconds. */
const POLL_RETRY_MS = 100;

/** Options for {@linkcode Streams}. */
export interface StreamsOptions extends SubscriberLimits {
  /** The log, which keeps the leases of pipelines with streams. */
  log: Log;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** Number of events in the history of a pipeline. */
  history: number;
  /** Interval between two keep-alives of a stream, in milliseconds. */
  keepAliveMs: number;
  /** Minimum reconnection time that subscribers are told, in milliseconds. */
  retryMs: number;
  /** Maximum age of a stream, ±20 %, in milliseconds. */
  maxStreamAgeMs: number;
}

/** The streams of an isolate. */
export class Streams {
  /** Places of subscribers. */
  readonly quota: SubscriberQuota;
  readonly #options: StreamsOptions;
  readonly #pipelines: PipelineRegistry;
  readonly #draining: AbortSignal;
  readonly #keepAliveWheel: KeepAliveWheel;
  /** Range of the history of a client that asks for none. */
  readonly #history: HistoryRange;

  /** @param draining Aborted when the drain begins, with the error that refuses new streams. */
  constructor(options: StreamsOptions, pipelines: PipelineRegistry, draining: AbortSignal) {
    this.quota = new SubscriberQuota(options);
    this.#options = options;
    this.#pipelines = pipelines;
    this.#draining = draining;
    const leases = new LeaseRenewal(options, () => pipelines.ids);
    this.#keepAliveWheel = new KeepAliveWheel(
      options.runtime,
      options.keepAliveMs,
      () => leases.renew(),
    );
    this.#history = rangeOfNewest(options.history);
  }

  /** Number of open streams. */
  get size(): number {
    return this.#keepAliveWheel.size;
  }

  /** Opens a stream: see {@linkcode Hub.subscribe}. */
  async open(
    pipelines: string | readonly string[],
    subscription: Subscription,
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
      this.#draining.throwIfAborted();
      place = this.quota.acquire(ids, subscription.address ?? null);
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
      if (this.#draining.aborted) subscriber.end();
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
