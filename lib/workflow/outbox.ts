/**
 * The outbox of a workflow: sends its events in order, one request at a time, and stops
 * at the first that fails.
 *
 * @module
 */

import { type DeliveredEvent, DeliveryError } from "./delivery_error.ts";
import type { Destination } from "./destination.ts";
import { type DeliveryOptions, publish } from "./publisher.ts";
import { toRequests, toUnsent } from "./publish_request.ts";
import type { SerializedEvent } from "./serialized_event.ts";

/** Size of the payloads that wait from which on a source is not read further, in UTF-16 code units. */
const MAX_WAITING_LENGTH = 64 * 1024;

/** Events of a workflow on their way to the service. */
export class Outbox {
  readonly #destination: Destination;
  readonly #options: DeliveryOptions;
  readonly #delivered: DeliveredEvent[] = [];
  #waiting: SerializedEvent[] = [];
  #waitingLength = 0;
  #sending: Promise<void> | null = null;
  #failure: DeliveryError | null = null;

  constructor(destination: Destination, options: DeliveryOptions = {}) {
    this.#destination = destination;
    this.#options = options;
  }

  /** Adds an event. It waits until {@linkcode Outbox.send} is called. */
  add(event: SerializedEvent): void {
    this.#waiting.push(event);
    this.#waitingLength += event.payload.length;
  }

  /**
   * Sends all that waits, without being awaited: what was added while a request is in
   * flight goes together with the next one.
   */
  send(): void {
    this.#sending ??= this.#sendAll();
  }

  /**
   * Resolves when a source may be read further.
   *
   * @throws {DeliveryError} If a request has failed.
   */
  async room(): Promise<void> {
    while (this.#sending && this.#waitingLength >= MAX_WAITING_LENGTH) await this.#sending;
    if (this.#failure) throw this.#failure;
  }

  /**
   * Sends all that waits, and the end of the run after it if `end` is set.
   *
   * @returns The events with their IDs, in order, once they are durable.
   * @throws {DeliveryError} If a request has failed, with all events that were not sent.
   */
  async finish({ end = false } = {}): Promise<DeliveredEvent[]> {
    this.send();
    await this.#sending;
    if (!this.#failure && end) await this.#deliver(null);
    if (!this.#failure) return this.#delivered;
    const { message, unsent, status, cause } = this.#failure;
    const rest = toRequests(this.#destination.pipeline, this.#waiting).map(toUnsent);
    throw new DeliveryError(
      message,
      { delivered: this.#delivered, unsent: [...unsent, ...rest], status },
      cause === undefined ? {} : { cause },
    );
  }

  async #sendAll(): Promise<void> {
    // What is sent in the same turn goes together.
    await undefined;
    while (this.#waiting.length > 0 && !this.#failure) {
      const events = this.#waiting;
      this.#waiting = [];
      this.#waitingLength = 0;
      await this.#deliver(events);
    }
    this.#sending = null;
  }

  async #deliver(events: readonly SerializedEvent[] | null): Promise<void> {
    try {
      this.#delivered.push(...await publish(this.#destination, events, this.#options));
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      this.#delivered.push(...error.delivered);
      this.#failure = error;
    }
  }
}
