/**
 * The source of the events of a subscriber, and the metrics of streams.
 *
 * @module
 */

import type { Metrics } from "../telemetry/mod.ts";
import type { ChannelFilter, HistoryRange } from "../protocol/mod.ts";
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
   * Returns the sequence after which the events of a filter begin that are in a range;
   * `null` if they have to be searched in the log.
   */
  historyStart(filter: ChannelFilter, range: HistoryRange): number | null;
  /** Searches them, so that {@linkcode SubscriberSource.historyStart} knows it. */
  findHistory(filter: ChannelFilter, range: HistoryRange): Promise<unknown>;
}

/** Metrics of streams. */
export type StreamMetrics = Pick<
  Metrics,
  "deliveries" | "sent" | "streams" | "pages" | "gaps" | "stalled"
>;
