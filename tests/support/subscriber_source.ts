/**
 * Subscribers of sources in memory, and a source that searches no history in a log.
 *
 * @module
 */

import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { type HistoryRange, rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { Feed, type FeedOptions } from "../../lib/stream/feed.ts";
import { formsOf } from "../../lib/stream/stream_form.ts";
import type { SubscriberSource } from "../../lib/stream/subscriber_source.ts";
import { Subscriber, type SubscriberOptions } from "../../lib/stream/subscriber.ts";
import { EVENT_STREAM } from "../../lib/stream/syntax.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";

/** Adds to a source an ID and the starts of histories of all channels; nothing is held back in it. */
export function withHistory<S extends Pick<SubscriberSource, "newest" | "page">>(
  source: S,
  id = "p_a",
): S & SubscriberSource {
  return Object.assign(source, {
    id,
    visible: Infinity,
    historyStart: (_filter: unknown, { count }: HistoryRange) =>
      Math.max(0, source.newest.last - count),
    findHistory: () => Promise.reject(new Error("nothing is to be searched")),
  });
}

/** Options of a feed of each source, and of its stream. */
type Options = Partial<Omit<FeedOptions & SubscriberOptions, "onClose" | "form">> & {
  onClose?: () => void;
};

/** Creates a subscriber of one source, or of several in an array. */
export function subscribeTo(
  sources: SubscriberSource | SubscriberSource[],
  {
    resume = "fresh",
    history = rangeOfNewest(100),
    filter = new ChannelFilter([]),
    syntax = EVENT_STREAM,
    runtime = { report() {} },
    metrics = createMetrics(),
    onClose = () => {},
    ...options
  }: Options = {},
): Subscriber {
  const all = [sources].flat();
  const joined = Array.isArray(sources);
  const forms = formsOf(all.map(({ id }) => id), { syntax, traces: false, joined });
  return new Subscriber({
    feeds: all.map((source, index) =>
      new Feed({
        source,
        resume,
        history,
        filter,
        form: forms[index]!,
        runtime,
        metrics,
        onClose() {},
      })
    ),
    syntax,
    retryMs: 1,
    endsAt: Infinity,
    expiresAt: Infinity,
    runtime,
    onClose,
    ...options,
  });
}
