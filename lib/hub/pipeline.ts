/**
 * One pipeline that has subscribers here: lets them in where they left off, and
 * wakes them when its tail has more.
 *
 * @module
 */

import { parseEventId } from "../protocol/mod.ts";
import {
  type EncodedPage,
  type EventRun,
  Subscriber,
  type SubscriberOptions,
  type SubscriberSource,
} from "../stream/mod.ts";
import { Tail, type TailOptions } from "./tail.ts";

/** What a {@linkcode Pipeline} works with. */
export interface PipelineOptions extends Omit<TailOptions, "onChange"> {
  /** Hears that its last subscriber is gone, and none is on its way in. */
  onUnused: () => void;
}

/** How a subscriber comes to a pipeline. */
export interface Arrival extends Omit<SubscriberOptions, "source" | "resume" | "runtime"> {
  /** The last event ID that it brings, in whatever form. */
  lastEventId: string | undefined;
}

/** A pipeline that is live in this isolate. */
export class Pipeline implements SubscriberSource, Disposable {
  /** Its newest events. The log is read when the first subscriber comes. */
  readonly tail: Tail;
  readonly #id: string;
  readonly #options: PipelineOptions;
  readonly #subscribers = new Set<Subscriber>();
  /** Subscribers that are on their way in. */
  #arriving = 0;

  /**
   * Makes a pipeline without subscribers.
   *
   * @param id The pipeline's ID.
   * @param options What it works with.
   */
  constructor(id: string, options: PipelineOptions) {
    this.#id = id;
    this.#options = options;
    this.tail = new Tail(id, { ...options, onChange: () => this.#wake() });
  }

  /** The subscribers. */
  get subscribers(): ReadonlySet<Subscriber> {
    return this.#subscribers;
  }

  /** The newest events: there once the first subscriber is. */
  get newest(): EventRun {
    return this.tail.events!;
  }

  /**
   * Adds a subscriber.
   *
   * @param arrival How it comes.
   * @returns The subscriber, its stream ready to be read.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async subscribe({ lastEventId, ...arrival }: Arrival): Promise<Subscriber> {
    this.#arriving++;
    try {
      // A pipeline that nobody wrote to has an epoch that has to be renewed.
      if (!this.tail.events || this.tail.events.last === 0) await this.tail.load();
      // What was accepted by now is history for whoever comes now.
      await this.tail.reachExpected();
      const resume = lastEventId === undefined ? "fresh" : await this.#resume(lastEventId);
      const subscriber = new Subscriber({
        ...arrival,
        source: this,
        resume,
        runtime: this.#options.runtime,
        onGone: (subscriber) => {
          this.#subscribers.delete(subscriber);
          arrival.onGone(subscriber);
          this.#leaveIfUnused();
        },
      });
      this.#subscribers.add(subscriber);
      return subscriber;
    } finally {
      this.#arriving--;
      this.#leaveIfUnused();
    }
  }

  #leaveIfUnused(): void {
    if (this.#arriving === 0 && this.#subscribers.size === 0) this.#options.onUnused();
  }

  async #resume(lastEventId: string): Promise<number | "unknown"> {
    const position = parseEventId(lastEventId);
    if (!position) return "unknown";
    // A tail that lags must not call a good position foreign.
    return await this.tail.reach(position) ? position.sequence : "unknown";
  }

  /**
   * Reads what follows a sequence from the log.
   *
   * @param sequence After which event.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async page(sequence: number): Promise<EncodedPage | null> {
    const before = this.newest.last;
    const page = await this.#options.pages.read(this.#id, sequence);
    // Of another log, or behind where the tail was: the log was replaced.
    if (page?.epoch !== this.newest.epoch || page.sequence < before) await this.tail.repair();
    else await this.tail.reach(page);
    return page;
  }

  #wake(): void {
    for (const subscriber of this.#subscribers) subscriber.wake();
  }

  /** Ends what the pipeline has under way. */
  [Symbol.dispose](): void {
    this.tail[Symbol.dispose]();
  }
}
