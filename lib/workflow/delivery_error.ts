/**
 * The result of a delivery, for each event.
 *
 * @module
 */

import type { SseEvent } from "./serialized_event.ts";

/**
 * Event that the service accepted: it is durable.
 *
 * @example The event ID that subscribers see
 * ```ts
 * import type { DeliveredEvent } from "@runnel/workflow";
 *
 * const event: DeliveredEvent = { channel: "names", id: "AAECAwQFBgc-1" };
 * ```
 */
export interface DeliveredEvent {
  /** Channel of the event. */
  channel: string;
  /** Event ID, which subscribers get as `lastEventId`. */
  id: string;
}

/**
 * Request that the service did not accept, or whose answer did not arrive.
 *
 * @example Publish the request again
 * ```ts
 * import type { UnsentRequest } from "@runnel/workflow";
 *
 * function publishAgain(pipeline: string, { events, idempotencyKey }: UnsentRequest) {
 *   return fetch("http://localhost:8000/ingest", {
 *     method: "POST",
 *     headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
 *     body: JSON.stringify(events.map((event) => ({ pipeline, ...event }))),
 *   });
 * }
 * ```
 */
export interface UnsentRequest {
  /** The events, in order: at most 1000. */
  events: SseEvent[];
  /**
   * `Idempotency-Key` of the request. With it, exactly these events can be
   * published together again within 24 hours, and they are stored once.
   */
  idempotencyKey: string;
}

/**
 * Error of a delivery: the service refused a request, or time was up.
 *
 * @example Keep the unsent events for later
 * ```ts
 * import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
 * import { DeliveryError, runWorkflow, type UnsentRequest } from "@runnel/workflow";
 *
 * const outbox: UnsentRequest[] = [];
 * try {
 *   await runWorkflow({
 *     pipeline: "p_aBcDeF",
 *     steps: [{
 *       name: "hello",
 *       component: { run: ({ $ }) => $.send.sse({ channel: "names", payload: "Luke" }) },
 *     }],
 *     // A service that asks for a token.
 *     delivery: { fetch: async () => new Response(null, { status: 401 }) },
 *   });
 * } catch (error) {
 *   if (!(error instanceof DeliveryError)) throw error;
 *   equal(error.status, 401);
 *   outbox.push(...error.unsent);
 * }
 * deepEqual(outbox[0]?.events, [{ channel: "names", payload: "Luke" }]);
 * ```
 */
export class DeliveryError extends Error {
  /** Events that the service accepted before the error, in order. */
  readonly delivered: readonly DeliveredEvent[];
  /**
   * Requests that were not accepted, in order. The first one may have been
   * stored although no answer arrived: published again with its idempotency key,
   * it is stored once.
   */
  readonly unsent: readonly UnsentRequest[];
  /** HTTP status of the last answer; `null` if there was none. */
  readonly status: number | null;

  /**
   * Creates an error.
   *
   * @param message The reason of the failure, and its remedy.
   * @param details The events that were delivered and those that were not, and
   *   the HTTP status of the last answer.
   * @param options The error underneath, as `cause`.
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
