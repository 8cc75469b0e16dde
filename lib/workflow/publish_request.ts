/**
 * Requests that publish events: their bodies and their idempotency keys.
 *
 * @module
 */

import { MAX_BODY_BYTES, MAX_EVENTS } from "../protocol/event_rules.ts";
import type { UnsentRequest } from "./delivery_error.ts";
import type { SerializedEvent } from "./serialized_event.ts";

/** A request, the same at every attempt. The service stores all of its events, or none. */
export interface PublishRequest {
  /** The events, in order; none if it only ends the run. */
  events: SerializedEvent[];
  /** The body: a JSON array of the events. */
  body: string;
  /** Key by which the service recognizes a repeated attempt. */
  idempotencyKey: string;
}

/** Puts events into as few requests as the limits allow, in order. */
export function toRequests(
  pipeline: string,
  events: readonly SerializedEvent[],
): PublishRequest[] {
  const requests: PublishRequest[] = [];
  let batch: SerializedEvent[] = [];
  let items: string[] = [];
  // The two brackets, less the comma that the first event does not have.
  let size = 1;
  const close = () => {
    if (batch.length === 0) return;
    const body = `[${items.join(",")}]`;
    requests.push({ events: batch, body, idempotencyKey: createKey() });
    [batch, items, size] = [[], [], 1];
  };
  for (const event of events) {
    const item = `{"pipeline":${JSON.stringify(pipeline)},` +
      `"channel":${JSON.stringify(event.channel)},"payload":${event.payload}}`;
    const itemSize = new TextEncoder().encode(item).length + 1;
    if (batch.length === MAX_EVENTS || size + itemSize > MAX_BODY_BYTES) close();
    batch.push(event);
    items.push(item);
    size += itemSize;
  }
  close();
  return requests;
}

/** Returns the request that ends a run. Repeated, it changes nothing. */
export function toEndRequest(): PublishRequest {
  return { events: [], body: "", idempotencyKey: createKey() };
}

/** Returns a request in the form in which a {@linkcode DeliveryError} hands it back. */
export function toUnsent({ events, idempotencyKey }: PublishRequest): UnsentRequest {
  const values = events.map(({ channel, payload }) => ({ channel, payload: JSON.parse(payload) }));
  return { events: values, idempotencyKey };
}

/** Creates an idempotency key. Pages have `randomUUID` over HTTPS only. */
function createKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
