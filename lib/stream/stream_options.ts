/**
 * Options for the event stream of a subscriber, and the source of its events.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import type { ChannelFilter } from "../protocol/mod.ts";
import type { EncodedEvents } from "./encoded_events.ts";
import type { EncodedPage } from "./page_reader.ts";

/**
 * Reason for which a stream ends that its client may open again with another token
 * or ticket: its own is past its time, or was revoked.
 */
export type Expiry = "expired" | "revoked";

/** Source of a subscriber's events. */
export interface SubscriberSource {
  /** ID of the pipeline, for messages to the operator. */
  readonly id: string;
  /** The newest events. Another object if the pipeline's log was replaced. */
  readonly newest: EncodedEvents;
  /**
   * Sequence of the last event that live subscribers may have. What follows is held
   * back for a moment, so that it goes out together.
   */
  readonly visible: number;
  /**
   * Reads what follows a sequence that is before the newest events. With a filter, the
   * page may begin later, after events that it passes over.
   */
  page(
    sequence: number,
    filter: ChannelFilter | null,
    isWanted: () => boolean,
  ): Promise<EncodedPage | null>;
  /**
   * Returns the sequence after which the newest events of a filter begin, up to
   * `count`; `null` if they have to be searched in the log.
   */
  historyStart(filter: ChannelFilter, count: number): number | null;
  /** Searches them, so that {@linkcode SubscriberSource.historyStart} knows it. */
  findHistory(filter: ChannelFilter, count: number): Promise<unknown>;
}

/** Metrics of streams. */
export type StreamMetrics = Pick<
  Metrics,
  "deliveries" | "sent" | "streams" | "pages" | "gaps" | "stalled"
>;

/** Options for a stream. */
export interface StreamOptions {
  /** Source of its events. */
  source: SubscriberSource;
  /**
   * Sequence after which it resumes; `"fresh"` for a subscriber without a
   * position, `"unknown"` for one whose position is not in this log.
   */
  resume: number | "fresh" | "unknown";
  /**
   * Whether it is told its position before all else, for a client that has to come
   * back with one. @default {false}
   */
  announcesStart?: boolean | undefined;
  /** Number of events of the history that it gets if it does not resume. */
  history: number;
  /** Filter of the channels that it gets. */
  filter: ChannelFilter;
  /** Whether its events carry their traces. @default {false} */
  traces?: boolean | undefined;
  /** Reconnection time that it is told, in milliseconds. */
  retryMs: number;
  /** Time at which its stream ends, in milliseconds of the monotonic clock. */
  endsAt: number;
  /** Time at which its token or ticket expires, in the same unit. */
  expiresAt: number;
  /** Reporter of reads of the log that failed. */
  runtime: Pick<Runtime, "report">;
  /** Counts what is sent, and how streams begin and end. */
  metrics: StreamMetrics;
}
