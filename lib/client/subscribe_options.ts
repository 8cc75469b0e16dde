/**
 * The options of a subscription.
 *
 * @module
 */

import type { EndEvent, GapEvent, LiveEvent, PublishedEvent } from "./event_types.ts";
import type { ConnectionState } from "./subscription.ts";

/**
 * Options for {@linkcode subscribe}.
 *
 * @example Two pipelines, on one channel, with a token
 * ```ts
 * import type { SubscribeOptions } from "@runnel/client";
 *
 * const options: SubscribeOptions = {
 *   pipelines: ["p_shop", "p_warehouse"],
 *   channels: ["orders"],
 *   history: 10,
 *   token: "a-token-of-a-subscriber",
 * };
 * ```
 */
export interface SubscribeOptions {
  /** Pipeline ID, or 1 to 10 of them: all share one connection. */
  pipelines: string | readonly string[];
  /** Channel to receive, or at most 20 of them, of each pipeline. The default is all. */
  channels?: string | readonly string[] | undefined;
  /**
   * Number of events that a subscription without a position begins with, for each pipeline;
   * `"all"` for all that are kept. The default is that of the service, 100.
   */
  history?: number | "all" | undefined;
  /** Begins with the events since a time, or within a duration such as `"PT10M"` (ISO 8601). */
  since?: string | Date | undefined;
  /** Event ID to continue after. It comes before the one that {@linkcode resumeKey} stored. */
  lastEventId?: string | undefined;
  /** Token of a subscriber, if the service asks for one. */
  token?: string | undefined;
  /**
   * Called for a token: before the first connection, and when the service does not accept the
   * last token any more. It is never called twice in a row without a pause.
   */
  getToken?: ((context: RenewalContext) => string | Promise<string>) | undefined;
  /**
   * Called for the URL of a ticket, which opens a stream without a token: before the first
   * connection, and when its session has ended. Request the ticket for `lastEventId`.
   */
  getUrl?: ((context: RenewalContext) => string | URL | Promise<string | URL>) | undefined;
  /** Closes the subscription when it is aborted, as `Subscription.close()` does. */
  signal?: AbortSignal | undefined;
  /**
   * Time without a byte after which the connection is cut, in milliseconds. Set it to more than
   * twice the keep-alive interval of the service, if that is not the 15 seconds of the default.
   *
   * @default {40000}
   */
  stallMs?: number | undefined;
  /**
   * Key under which the last event ID is kept in {@linkcode storage}, so that a reloaded page
   * continues. Use another key for other pipelines.
   */
  resumeKey?: string | undefined;
  /**
   * Called with each event, in order. The next event is read when the promise that it returns
   * has settled.
   */
  onEvent?: ((event: PublishedEvent) => void | Promise<void>) | undefined;
  /** Called when a pipeline is live: later events were published after the connection. */
  onLive?: ((event: LiveEvent) => void | Promise<void>) | undefined;
  /** Called when events are missing. */
  onGap?: ((event: GapEvent) => void | Promise<void>) | undefined;
  /** Called when the run of a pipeline has ended. */
  onEnd?: ((event: EndEvent) => void | Promise<void>) | undefined;
  /** Called with each new state of the connection. */
  onState?: ((state: ConnectionState) => void) | undefined;
  /**
   * Function that makes a request.
   *
   * @default {globalThis.fetch}
   */
  fetch?: ((url: URL, init: RequestInit) => Promise<Response>) | undefined;
  /** Storage for {@linkcode resumeKey}. The default is `sessionStorage`, where there is one. */
  storage?: Pick<Storage, "getItem" | "setItem"> | undefined;
  /**
   * Source of jitter: returns a number from 0 up to 1.
   *
   * @default {Math.random}
   */
  random?: (() => number) | undefined;
  /** Clock and timers. The default is that of the platform. */
  clock?: ClientClock | undefined;
}

/**
 * Reason for which a token or a ticket is requested.
 *
 * @example Request a ticket from the server of a page
 * ```ts
 * import type { RenewalContext } from "@runnel/client";
 *
 * async function getUrl({ lastEventId }: RenewalContext) {
 *   const body = JSON.stringify({ lastEventId });
 *   const response = await fetch("/ticket", { method: "POST", body });
 *   return (await response.json()).url;
 * }
 * ```
 */
export interface RenewalContext {
  /** Event ID to continue after; empty at the beginning. */
  lastEventId: string;
  /**
   * `"start"` at the beginning. Else the reason of `runnel.expired` (`"expired"`, `"revoked"`),
   * or the status of the refusal: `"401"`, `"403"`.
   */
  reason: string;
}

/**
 * Clock and timers of the client.
 *
 * @example The clock of the platform
 * ```ts
 * import type { ClientClock } from "@runnel/client";
 *
 * const clock: ClientClock = {
 *   now: Date.now,
 *   after(ms, run) {
 *     const timer = setTimeout(run, ms);
 *     return () => clearTimeout(timer);
 *   },
 * };
 * ```
 */
export interface ClientClock {
  /** Returns the time in milliseconds since the Unix epoch, also after the machine slept. */
  now(): number;
  /** Runs a function once, in a number of milliseconds. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}
