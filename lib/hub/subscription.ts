/**
 * A subscription: what a subscriber asks for, and what limits its stream.
 *
 * @module
 */

import type { HistoryRange, Position } from "../protocol/mod.ts";

/** Options for {@linkcode Hub.subscribe}. */
export interface Subscription {
  /** Last event ID of the subscriber, unchecked: of several pipelines, each in any order. */
  lastEventId?: string | undefined;
  /**
   * Range of the history that it gets if its last event ID is not of this log. By default,
   * the newest events, up to the configured number.
   */
  history?: HistoryRange | undefined;
  /** Channels that it gets; all if there are none. */
  channels?: readonly string[] | undefined;
  /** Whether it gets the traces of the events. @default {false} */
  traces?: boolean | undefined;
  /** Address of the client; `null` for a client that is not counted by address. */
  address?: string | null | undefined;
  /** Whether it gets lines of JSON instead of an event stream. @default {false} */
  asLines?: boolean | undefined;
  /**
   * Time after which the stream ends, in milliseconds, which it does before as soon as it has
   * sent an event: a long poll. Without it, it goes on.
   */
  waitMs?: number | undefined;
  /**
   * Positions that the logs are known to contain, in the order of the pipelines. The stream
   * starts only after the tails have reached them.
   */
  notBefore?: readonly Position[] | undefined;
  /** Expiry of its token, in milliseconds since the Unix epoch: the stream ends then at the latest. */
  endsAt?: number | undefined;
  /** Ends the stream when it is aborted, because another one takes its place. */
  signal?: AbortSignal | undefined;
  /** Ends the stream when it is aborted, because its token or ticket was revoked. */
  revoked?: AbortSignal | undefined;
  /** Whether the client is told the position after which the stream begins, before all else. */
  announcesStart?: boolean | undefined;
  /**
   * Called with the positions after which the stream begins in each pipeline, and awaited
   * before it is returned.
   */
  onStart?: ((starts: readonly Position[]) => Promise<unknown>) | undefined;
  /** Called when the stream has ended, or could not start. */
  onClose?: (() => void) | undefined;
  /**
   * Settles when the connection closes. This can be long after the stream ended,
   * because the runtime keeps the connection of a client that does not read.
   */
  connectionClosed?: Promise<unknown> | undefined;
}
