/**
 * The delivery of events, for the package `@runnel/client`: all of the room but the workflow.
 *
 * @module
 */

export { type DeliveredEvent, DeliveryError, type UnsentRequest } from "./delivery_error.ts";
export { createDeliveryError } from "./delivery_failure.ts";
export { ingestUrl } from "./destination.ts";
export { Outbox } from "./outbox.ts";
export type { Fetch } from "./publish_once.ts";
export { toRequests } from "./publish_request.ts";
export { assertDelivery, type DeliveryOptions, publish } from "./publisher.ts";
export type { SseSource } from "./send_sse.ts";
export { sendStream } from "./send_stream.ts";
export { assertChannel, type SseEvent, toJson } from "./serialized_event.ts";
