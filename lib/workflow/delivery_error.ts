/**
 * What became of the events of a delivery.
 *
 * @module
 */

import type { SseEvent } from "./serialized_event.ts";

/** An event that the service accepted. */
export interface DeliveredEvent {
  /** Its channel. */
  channel: string;
  /** Its event ID. */
  id: string;
}

/** Events of one request that was not answered with its acceptance. */
export interface UnsentRequest {
  /** The events, in order. */
  events: SseEvent[];
  /** What makes it safe to publish exactly these events together again, within 24 hours. */
  idempotencyKey: string;
}

/** The failure of a delivery. */
export class DeliveryError extends Error {
  /** What was accepted before. */
  readonly delivered: readonly DeliveredEvent[];
  /**
   * What was not sent, in order. The first request may have been stored though
   * nothing was heard of it: publish it with its key and it is stored once.
   */
  readonly unsent: readonly UnsentRequest[];
  /** The status of the last answer; `null` if there was none. */
  readonly status: number | null;

  /**
   * Makes an error.
   *
   * @param message What happened, and what to do.
   * @param details What was sent and what was not.
   * @param options The failure underneath, as `cause`.
   */
  constructor(
    message: string,
    details: {
      delivered: readonly DeliveredEvent[];
      unsent: readonly UnsentRequest[];
      status: number | null;
    },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "DeliveryError";
    this.delivered = details.delivered;
    this.unsent = details.unsent;
    this.status = details.status;
  }
}
