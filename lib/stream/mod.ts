/**
 * One client's event stream: cursor, chunks and keep-alive.
 *
 * @module
 */

export { EncodedEvents, type TrimLimits } from "./encoded_events.ts";
export { KeepAliveWheel } from "./keep_alive_wheel.ts";
export { type EncodedPage, PageReader } from "./page_reader.ts";
export {
  type Expiry,
  Subscriber,
  type SubscriberOptions,
  type SubscriberSource,
} from "./subscriber.ts";
