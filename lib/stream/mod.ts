/**
 * One client's event stream: cursor, chunks and keep-alive.
 *
 * @module
 */

export { EncodedEvents, type TrimLimits } from "./encoded_events.ts";
export { Feed, type FeedOptions } from "./feed.ts";
export { KeepAliveWheel } from "./keep_alive_wheel.ts";
export { type EncodedPage, PageReader } from "./page_reader.ts";
export { formsOf, type StreamForm } from "./stream_form.ts";
export type { Expiry, StreamMetrics, SubscriberSource } from "./subscriber_source.ts";
export { EVENT_STREAM, JSON_LINES, type Syntax } from "./syntax.ts";
export { Subscriber, type SubscriberOptions } from "./subscriber.ts";
