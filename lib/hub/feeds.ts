/**
 * Opens the feeds of a stream: one for each of its pipelines, all or none.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import {
  ChannelFilter,
  type HistoryRange,
  MAX_PIPELINES,
  parseJoinedId,
  splitEventIds,
} from "../protocol/mod.ts";
import { type Feed, formsOf, type Syntax } from "../stream/mod.ts";
import { limitRange } from "./histories.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Subscription } from "./subscription.ts";

/** Options for {@linkcode openFeeds}. */
export interface FeedsOptions {
  subscription: Subscription;
  /** Range of the history of a client that asks for none. */
  history: HistoryRange;
  syntax: Syntax;
  /** Whether the events tell their pipelines. */
  joined: boolean;
}

/**
 * Opens a feed for each pipeline, in the same order.
 *
 * Each part of the client's last event ID is of the pipeline whose log has its epoch. A
 * pipeline that has none of them is new to the client and begins with its history; if a
 * part is of none of the pipelines, it may have been of this one, and the client is told. It
 * is told as well if the part says that it was not told yet.
 *
 * @param pipelines Pipelines that are held. They are released.
 * @throws {RunnelError} `log-unavailable` if the log does not answer; `run-ended` if the
 *   client has all events of runs that have ended.
 */
export async function openFeeds(
  pipelines: readonly Pipeline[],
  { subscription, history: configured, syntax, joined }: FeedsOptions,
): Promise<Feed[]> {
  const { lastEventId, notBefore = [], channels = [], traces = false } = subscription;
  const filter = ChannelFilter.of(channels);
  const history = limitRange(subscription.history, configured);
  const forms = formsOf(pipelines.map(({ id }) => id), { syntax, traces, joined });
  try {
    notBefore.forEach((position, index) => pipelines[index]!.awaitBroadcast(position));
    const parts = lastEventId === undefined ? [] : readParts(lastEventId);
    const known = parts.flatMap((part) => part ? [part.position] : []);
    const positions = await all(pipelines, (pipeline) => pipeline.locate(known));
    const isForeign = parts.some((part) =>
      !positions.some((position) => position !== null && position.epoch === part?.position.epoch)
    );
    const gaps = parts.flatMap((part) => part?.hasGap ? [part.position.epoch] : []);
    const feeds = await all(pipelines, (pipeline, index) => {
      const position = positions[index]!;
      // It was told of other pipelines before it could be told of the gap.
      const hasGap = position !== null && gaps.includes(position.epoch);
      return pipeline.open({
        position: hasGap ? null : position,
        hasGap: hasGap || isForeign,
        history,
        filter,
        form: forms[index]!,
      });
    }, (feed) => feed.close());
    if (!feeds.every(({ hasEnded }) => hasEnded)) return feeds;
    for (const feed of feeds) feed.close();
    const ids = pipelines.map(({ id }) => id).join(", ");
    throw new RunnelError("run-ended", `Cannot subscribe: the run of ${ids} has ended`);
  } finally {
    for (const pipeline of pipelines) pipeline.release();
  }
}

/** Returns the parts of an ID. One that has more than a stream has pipelines is of none. */
function readParts(lastEventId: string): ReturnType<typeof parseJoinedId>[] {
  const parts = splitEventIds(lastEventId);
  return parts.length > MAX_PIPELINES ? [null] : parts.map(parseJoinedId);
}

/**
 * Runs something for each pipeline at the same time, and waits for all of them.
 *
 * @param undo Undoes one that succeeded if another one fails.
 * @throws The first error.
 */
async function all<T>(
  pipelines: readonly Pipeline[],
  run: (pipeline: Pipeline, index: number) => Promise<T>,
  undo: (result: T) => void = () => {},
): Promise<T[]> {
  if (pipelines.length === 1) return [await run(pipelines[0]!, 0)];
  const results = await Promise.allSettled(pipelines.map(run));
  const failure = results.find(({ status }) => status === "rejected");
  const values = results.filter(({ status }) => status === "fulfilled")
    .map((result) => (result as PromiseFulfilledResult<T>).value);
  if (!failure) return values;
  values.forEach(undo);
  throw (failure as PromiseRejectedResult).reason;
}
