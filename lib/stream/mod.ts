/**
 * One client's event stream: cursor, chunks and keep-alive.
 *
 * @module
 */

export { EventRun, type RunLimits } from "./encoded_events.ts";
export { KeepAlive } from "./keep_alive.ts";
export { type EncodedPage, PageReader } from "./page_reader.ts";
export { Subscriber, type SubscriberOptions, type SubscriberSource } from "./subscriber.ts";
