/**
 * The events that a subscription yields.
 *
 * @module
 */

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
