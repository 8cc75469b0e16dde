/**
 * The public types of subscriptions that share a stream.
 *
 * @module
 */

import type { SubscribeOptions } from "./subscribe_options.ts";
import type { ConnectionState, Subscription } from "./subscription.ts";

/**
 * Options for {@linkcode subscribe}: those of the client, and two of its own.
 *
 * @example Tabs of one user share a stream, although each requests its own token
 * ```ts
 * import type { SharedSubscribeOptions } from "@runnel/client/shared";
 *
 * const options: SharedSubscribeOptions = {
 *   pipelines: "p_shop",
 *   getToken: async () => await (await fetch("/token")).text(),
 *   share: "user 17",
 * };
 * ```
 */
export interface SharedSubscribeOptions extends Omit<SubscribeOptions, "onState"> {
  /**
   * Name under which tabs share a stream although their tokens differ, or although they have a
   * cookie, such as the ID of the user: then the stream lasts as long as the token of one of them.
   * All tokens under a name must cover the same channels: the stream has what one of them covers.
   * The default is that tabs share with those that have the same token, or neither token nor cookie.
   */
  share?: string | undefined;
  /**
   * The worker: the URL of its script, which has to be of the page's origin, or a function that
   * starts it. The default is `shared_worker.js` beside this module.
   */
  worker?: string | URL | (() => SharedWorkerLike) | undefined;
  /** Called with each new state of the connection, and when it is shared or apart. */
  onState?: ((state: SharedState) => void) | undefined;
}

/**
 * The part of a `SharedWorker` that is used.
 *
 * @example From a bundler that has an import for it
 * ```ts ignore
 * import EventWorker from "@runnel/client/shared_worker?sharedworker";
 *
 * subscribe("https://events.example.com", {
 *   pipelines: "p_shop",
 *   worker: () => new EventWorker({ name: "events" }),
 * });
 * ```
 */
export interface SharedWorkerLike {
  /** Port to the worker. */
  readonly port: Pick<MessagePort, "postMessage" | "start" | "close" | "onmessage">;
  /** Called if it cannot be loaded. */
  onerror: ((event: Event) => void) | null;
}

/**
 * State of a connection.
 *
 * @example A line for the user
 * ```ts
 * import type { SharedState } from "@runnel/client/shared";
 *
 * const onState = ({ name, isShared, apart }: SharedState) =>
 *   console.log(name, isShared ? "on the stream of all tabs" : `on a stream of its own: ${apart}`);
 * ```
 */
export type SharedState = ConnectionState & {
  /** Whether the events come by the stream that the tabs share. */
  isShared: boolean;
  /** Reason for which the tab has a stream of its own, without a period; empty if it shares. */
  apart: string;
};

/**
 * A subscription that shares its stream.
 *
 * @example
 * ```ts ignore
 * const subscription = subscribe("https://events.example.com", { pipelines: "p_shop" });
 * console.log(subscription.state.isShared);
 * ```
 */
export interface SharedSubscription extends Subscription {
  /** State of the connection. */
  readonly state: SharedState;
}
