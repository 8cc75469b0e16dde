/**
 * One client's event stream: cursor, chunks and keep-alive.
 *
 * @module
 */

export { EncodedEvents, type TrimLimits } from "./encoded_events.ts";
export { KeepAliveWheel } from "./keep_alive_wheel.ts";
export { type EncodedPage, PageReader } from "./page_reader.ts";
export type { Expiry, StreamMetrics, StreamOptions, SubscriberSource } from "./stream_options.ts";
export { Subscriber, type SubscriberOptions } from "./subscriber.ts";
