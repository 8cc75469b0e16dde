/**
 * A subscription and the state of its connection.
 *
 * @module
 */

import type { ClientEvent } from "./event_types.ts";

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

/** Members of a state, without the transport. */
export interface StateDetails {
  name: ConnectionState["name"];
  ms?: number;
  reason?: string;
  status?: number;
}

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
