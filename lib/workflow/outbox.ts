/**
 * The outbox of a workflow: sends its events in order, one request at a time, and stops
 * at the first that fails.
 *
 * @module
 */

import { MAX_EVENTS } from "../protocol/event_rules.ts";
import type { DeliveredEvent } from "./delivery_error.ts";
import { createDeliveryError } from "./delivery_failure.ts";
import { type Destination, endUrl, ingestUrl } from "./destination.ts";
import {
  assertDelivery,
  type DeliveryFailure,
  type DeliveryOptions,
  publish,
} from "./publisher.ts";
import { type PublishRequest, toEndRequest, toRequests } from "./publish_request.ts";
import type { SerializedEvent } from "./serialized_event.ts";

/** Size of the payloads that are not delivered from which on the outbox is full, in bytes. */
const FULL_BYTES = 64 * 1024;

/** Options for {@linkcode Outbox}. */
export interface OutboxOptions extends DeliveryOptions {
  /** Whether each event is sent as it is added, or when {@linkcode Outbox.send} is called. */
  live?: boolean | undefined;
}

/** Events of a workflow on their way to the service. */
export class Outbox {
  readonly #destination: Destination;
  readonly #options: OutboxOptions;
  readonly #ingest: URL;
  readonly #end: URL;
  readonly #delivered: DeliveredEvent[] = [];
  /** Requests that will not be sent any more. Their keys stay the same in all errors. */
  readonly #unsent: PublishRequest[] = [];
  readonly #stop = new AbortController();
  #isClosed = false;
  #addedCount = 0;
  #waiting: SerializedEvent[] = [];
  #waitingBytes = 0;
  #inFlightCount = 0;
  #inFlightBytes = 0;
  #round: Promise<void> | null = null;
  #failure: DeliveryFailure | null = null;
  /** Error of a function of the options, such as `onRetry`, or `null`. */
  #thrown: { error: unknown } | null = null;

  /**
   * Creates an empty outbox.
   *
   * @throws {TypeError} If the destination or an option is invalid.
   */
  constructor(destination: Destination, options: OutboxOptions = {}) {
    assertDelivery(options);
    this.#destination = destination;
    this.#options = options;
    this.#ingest = ingestUrl(destination);
    this.#end = endUrl(destination);
  }

  /** Aborted when a source must not be read further: a request has failed, or it is closed. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** Whether no event may be added any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether a source has to wait for {@linkcode Outbox.room}. */
  get isFull(): boolean {
    return this.#waitingBytes + this.#inFlightBytes >= FULL_BYTES ||
      this.#waiting.length + this.#inFlightCount >= MAX_EVENTS;
  }

  get #hasFailed(): boolean {
    return this.#failure !== null || this.#thrown !== null;
  }

  /** Adds an event. If the outbox is not live, it waits until {@linkcode Outbox.send} is called. */
  add(event: SerializedEvent): void {
    this.#addedCount++;
    this.#waiting.push(event);
    this.#waitingBytes += sizeOf(event);
    if (this.#options.live) void this.send();
  }

  /**
   * Sends all that waits: what is added while a request is in flight goes together with
   * the next one.
   *
   * @returns Resolves when the next requests, or those in flight, have ended. Never rejects.
   */
  send(): Promise<void> {
    return this.#round ??= this.#sendRound();
  }

  /**
   * Resolves when the outbox is not full.
   *
   * @throws {DeliveryError} If a request has failed.
   */
  async room(): Promise<void> {
    while (this.isFull && !this.#hasFailed) await this.send();
    if (this.#hasFailed) throw this.#error();
  }

  /**
   * Resolves when all events that were added so far are durable.
   *
   * @throws {DeliveryError} If a request has failed.
   */
  async flush(): Promise<void> {
    const count = this.#addedCount;
    while (this.#delivered.length < count && !this.#hasFailed) await this.send();
    if (this.#hasFailed) throw this.#error();
  }

  /**
   * Closes the outbox, which stops the sources. Sends all that waits, and the end of the
   * run after it if `end` is set.
   *
   * @returns The events with their IDs, in order, once they are durable.
   * @throws {DeliveryError} If a request has failed, with all events that were not sent.
   */
  async finish({ end = false } = {}): Promise<DeliveredEvent[]> {
    this.#isClosed = true;
    this.#stop.abort(new Error("The outbox is closed"));
    await this.flush();
    if (end) await this.#publish(this.#end, [toEndRequest()]);
    if (this.#hasFailed) throw this.#error();
    return this.#delivered;
  }

  async #sendRound(): Promise<void> {
    // What is sent in the same turn goes together.
    await undefined;
    if (!this.#hasFailed) await this.#sendWaiting();
    this.#round = null;
    if (this.#waiting.length > 0 && !this.#hasFailed) void this.send();
  }

  async #sendWaiting(): Promise<void> {
    const events = this.#waiting;
    [this.#inFlightCount, this.#inFlightBytes] = [events.length, this.#waitingBytes];
    [this.#waiting, this.#waitingBytes] = [[], 0];
    await this.#publish(this.#ingest, toRequests(this.#destination.pipeline, events));
    [this.#inFlightCount, this.#inFlightBytes] = [0, 0];
  }

  async #publish(url: URL, requests: readonly PublishRequest[]): Promise<void> {
    try {
      const { token } = this.#destination;
      const { delivered, failure } = await publish(url, requests, token, this.#options);
      for (const event of delivered) this.#delivered.push(event);
      this.#failure = failure;
      this.#unsent.push(...failure?.unsent ?? []);
    } catch (error) {
      this.#thrown = { error };
    }
    if (this.#hasFailed) this.#stop.abort(this.#error());
  }

  #error(): unknown {
    if (this.#thrown) return this.#thrown.error;
    this.#unsent.push(...toRequests(this.#destination.pipeline, this.#waiting));
    [this.#waiting, this.#waitingBytes] = [[], 0];
    return createDeliveryError(this.#failure!, [...this.#delivered], this.#unsent);
  }
}

/** Size of an event, in bytes. The channel counts as well: a payload may be a digit. */
function sizeOf({ channel, payload }: SerializedEvent): number {
  return channel.length + new TextEncoder().encode(payload).length;
}
