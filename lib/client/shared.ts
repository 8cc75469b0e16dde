/**
 * `@runnel/client/shared`: one stream for all tabs of an origin.
 *
 * @example In a page
 * ```ts ignore
 * import { subscribe } from "@runnel/client/shared";
 *
 * subscribe("https://events.example.com", {
 *   pipelines: "p_shop",
 *   onEvent: ({ channel, payload }) => console.log(channel, payload),
 *   onState: ({ name, isShared, apart }) => console.log(name, isShared ? "shared" : apart),
 * });
 * ```
 *
 * @module
 */

import { SharedConnection } from "./shared_connection.ts";
import { findObstacle, platformOf } from "./shared_platform.ts";
import type { SharedSubscribeOptions, SharedSubscription } from "./shared_types.ts";

export { SubscribeError } from "./errors.ts";
export type { ClientEvent, EndEvent, GapEvent, LiveEvent, PublishedEvent } from "./event_types.ts";
export type { ClientClock, RenewalContext, SubscribeOptions } from "./subscribe_options.ts";
export type { ConnectionState, Subscription } from "./subscription.ts";
export type {
  SharedState,
  SharedSubscribeOptions,
  SharedSubscription,
  SharedWorkerLike,
} from "./shared_types.ts";

/**
 * Subscribes as that of `@runnel/client` does, and shares one stream with the other tabs of the
 * origin that subscribe to the same service, with the same channels and the same token.
 *
 * A tab begins with a stream of its own. It leaves that for the shared one as soon as this is
 * exact, and returns to it whenever it is not, so that it receives each event once and in order, as
 * without sharing. Where a browser has no `SharedWorker` or no Web Locks, each tab keeps its own
 * stream: the state tells why.
 *
 * @param url URL of the service. In a page, it may be relative.
 * @returns The subscription.
 * @throws {TypeError} If the URL is invalid, there are too many pipelines, none, or one twice, or
 *   `since` is an invalid date, or `stallMs` no positive number.
 *
 * @example
 * ```ts ignore
 * subscribe("https://events.example.com", {
 *   pipelines: "p_shop",
 *   onEvent: ({ channel, payload }) => console.log(channel, payload),
 * });
 * ```
 */
export function subscribe(
  url: string | URL,
  options: SharedSubscribeOptions,
): SharedSubscription {
  // The client itself tells a program without types what is missing.
  const given = options ?? {};
  return new SharedConnection(url, given, platformOf(given), findObstacle(given));
}
