/**
 * The front door of subscribers.
 *
 * @module
 */

import { callBack } from "./call_back.ts";
import { Connection } from "./connection.ts";
import type { ClientEvent } from "./event_types.ts";
import type { SubscribeOptions } from "./subscribe_options.ts";
import type { Subscription } from "./subscription.ts";

/**
 * Subscribes to the events of up to ten pipelines, on one connection that comes back from
 * everything that is transient and continues after the last event.
 *
 * Iterate over the result, or pass callbacks. A loop reads no further than it takes events, and
 * the connection is opened when it asks for the first one. With callbacks it is opened at once. An
 * error that a callback throws is uncaught, as that of an event listener is, and the next event
 * follows. A loop over a subscription with callbacks throws a `TypeError`.
 *
 * @param url URL of the service, with the path that it is served below. In a page, it may be
 *   relative.
 * @returns The subscription.
 * @throws {TypeError} If the URL is invalid, there are too many pipelines, none, or one twice, or
 *   `since` is an invalid date, or `stallMs` no positive number.
 *
 * @example Events of two channels
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { subscribe } from "@runnel/client";
 *
 * // The service, which is played by a function here.
 * const body = 'event: orders\ndata: {"number":17}\nid: AAECAwQFBgc-1\n\n';
 * const headers = { "Content-Type": "text/event-stream" };
 * const fetch = async () => new Response(body, { headers });
 *
 * const options = { pipelines: "p_shop", channels: ["orders", "paid"], fetch };
 * for await (const event of subscribe("http://localhost:8000", options)) {
 *   if (event.type !== "event") continue;
 *   deepEqual([event.channel, event.payload], ["orders", { number: 17 }]);
 *   break;
 * }
 * ```
 */
export function subscribe(url: string | URL, options: SubscribeOptions): Subscription {
  const connection = new Connection(url, options);
  const callbacks = {
    event: options.onEvent,
    live: options.onLive,
    gap: options.onGap,
    end: options.onEnd,
  };
  if (!Object.values(callbacks).some(Boolean)) return connection;
  // Otherwise, a refusal that nobody awaits is an unhandled rejection, and not silent.
  if (options.onState) connection.closed.catch(() => {});
  connection[Symbol.asyncIterator] = () => {
    throw new TypeError("Cannot iterate: it has callbacks");
  };
  void callAll(connection, callbacks as Callbacks);
  return connection;
}

type Callbacks = Record<ClientEvent["type"], (event: ClientEvent) => void | Promise<void>>;

async function callAll({ events }: Connection, callbacks: Callbacks): Promise<void> {
  // Not before the caller has the subscription.
  await undefined;
  try {
    for await (const event of events) await callBack(callbacks[event.type], event);
  } catch {
    // `closed` rejects with it.
  }
}
