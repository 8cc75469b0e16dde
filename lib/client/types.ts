/**
 * The public types of the client.
 *
 * @module
 */

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
  /** Closes the subscription when it is aborted, as {@linkcode Subscription.close} does. */
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
 * Anything that a subscription yields, in the order of each pipeline.
 *
 * @example Print each kind
 * ```ts
 * import type { ClientEvent } from "@runnel/client";
 *
 * function describe(event: ClientEvent): string {
 *   switch (event.type) {
 *     case "event":
 *       return `${event.channel}: ${event.data}`;
 *     case "live":
 *       return `${event.replayed} events before`;
 *     case "gap":
 *       return `${event.missed ?? "some"} events are missing: ${event.reason}`;
 *     case "end":
 *       return `the run had ${event.events} events`;
 *   }
 * }
 * ```
 */
export type ClientEvent = PublishedEvent | LiveEvent | GapEvent | EndEvent;

/**
 * An event that somebody published.
 *
 * @example Its payload
 * ```ts
 * import type { PublishedEvent } from "@runnel/client";
 *
 * const onEvent = (event: PublishedEvent) => console.log(event.channel, event.payload.name);
 * ```
 */
export interface PublishedEvent {
  /** Kind. */
  type: "event";
  /** Pipeline ID. */
  pipeline: string;
  /** Channel. */
  channel: string;
  /** Event ID to continue after this event; on a stream of several pipelines, one part for each. */
  id: string;
  /** Payload, as JSON text. */
  data: string;
  /** Payload, parsed when it is first read. Throws a `SyntaxError` if it is not JSON. */
  // deno-lint-ignore no-explicit-any -- any JSON value, whose form its publisher decides
  readonly payload: any;
}

/**
 * Marker between the history of a pipeline and its new events. After a reconnection it comes
 * again.
 *
 * @example Hide the spinner
 * ```ts
 * import type { LiveEvent } from "@runnel/client";
 *
 * const onLive = ({ pipeline }: LiveEvent) => console.log(`${pipeline} is live`);
 * ```
 */
export interface LiveEvent {
  /** Kind. */
  type: "live";
  /** Pipeline ID. */
  pipeline: string;
  /** Event ID to continue from. */
  id: string;
  /** Number of events that the connection began with. */
  replayed: number;
}

/**
 * Events that are missing.
 *
 * @example Load the page again
 * ```ts
 * import type { GapEvent } from "@runnel/client";
 *
 * const onGap = ({ missed }: GapEvent) => console.log(`${missed ?? "Some"} events are missing`);
 * ```
 */
export interface GapEvent {
  /** Kind. */
  type: "gap";
  /** Pipeline ID. */
  pipeline: string;
  /** Event ID to continue from. */
  id: string;
  /** Number of missing events of all channels; `null` if it is unknown. */
  missed: number | null;
  /** Reason. With `unknown`, the position is none of this log, and the history follows. */
  reason: "evicted" | "cleared" | "damaged" | "unknown";
}

/**
 * End of the run of a pipeline: no event follows.
 *
 * @example Count the events
 * ```ts
 * import type { EndEvent } from "@runnel/client";
 *
 * const onEnd = ({ events }: EndEvent) => console.log(`${events} events in all`);
 * ```
 */
export interface EndEvent {
  /** Kind. */
  type: "end";
  /** Pipeline ID. */
  pipeline: string;
  /** Event ID of the end. */
  id: string;
  /** Number of all events of the run. */
  events: number;
}

/**
 * State of the connection. `transport` is `"poll"` while a network holds streams back, so that
 * the client asks again and again.
 *
 * | Name          | Meaning                                                                    |
 * | ------------- | -------------------------------------------------------------------------- |
 * | `connecting`  | A request is in flight.                                                    |
 * | `catching-up` | The history, or the events since the last connection, arrive.              |
 * | `live`        | Events arrive as they are published.                                       |
 * | `waiting`     | The connection failed for `reason`. The next attempt follows in `ms`.      |
 * | `refused`     | The subscription has failed permanently.                                   |
 * | `ended`       | The runs of all pipelines have ended.                                      |
 * | `closed`      | The subscription was closed.                                               |
 *
 * @example A line for the user
 * ```ts
 * import type { ConnectionState } from "@runnel/client";
 *
 * const onState = (state: ConnectionState) =>
 *   console.log(state.name === "waiting" ? `${state.reason}, next in ${state.ms} ms` : state.name);
 * ```
 */
export type ConnectionState =
  & (
    | { name: "connecting" | "catching-up" | "live" | "ended" | "closed" }
    | {
      name: "waiting";
      /** Time until the next attempt, in milliseconds. */
      ms: number;
      /** Reason of the failure, without a period. */
      reason: string;
    }
    | {
      name: "refused";
      /** Reason of the refusal, without a period. */
      reason: string;
      /** HTTP status of the refusal; 0 if it is not from the service. */
      status: number;
    }
  )
  & {
    /** Transport of the current or the next connection. */
    transport: "stream" | "poll";
  };

/**
 * A subscription. Iterate over it, or pass callbacks to {@linkcode subscribe}.
 *
 * @example Close it at the end of a block
 * ```ts ignore
 * await using subscription = subscribe("http://localhost:8000", { pipelines: "p_shop" });
 * for await (const event of subscription) {
 *   if (event.type === "live") break;
 * }
 * ```
 */
export interface Subscription extends AsyncIterable<ClientEvent>, AsyncDisposable {
  /** Event ID of the last event that was yielded or passed to a callback; empty before. */
  readonly lastEventId: string;
  /** State of the connection. */
  readonly state: ConnectionState;
  /**
   * Time at which anything arrived last, keep-alives included, in milliseconds since the Unix
   * epoch; `null` before.
   */
  readonly lastReceivedAt: number | null;
  /** Ends a wait, so that the next attempt is made at once. */
  retryNow(): void;
  /** Closes the subscription and its connection. A loop over it ends. */
  close(): void;
  /**
   * Resolves when the runs of all pipelines have ended, or the subscription was closed.
   * Rejects if it has failed permanently, as a loop does.
   */
  readonly closed: Promise<void>;
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
