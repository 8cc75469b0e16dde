/**
 * Messages between a tab and the worker that it shares a stream by.
 *
 * @module
 */

import type { ClientEvent } from "./event_types.ts";

/**
 * Version of the messages, also in the name of the worker. A tab that meets a worker of another
 * version nevertheless keeps its own stream.
 */
export const VERSION = 1;

/** Maximum number of pipelines on one stream. */
export const MAX_PIPELINES = 10;

/** Maximum number of messages that a tab has not acknowledged. */
export const WINDOW_COUNT = 1_000;

/** Maximum length of the events that a tab has not acknowledged, in UTF-16 code units. */
export const WINDOW_LENGTH = 1024 * 1024;

/** An event of the shared stream. `id` is the part of its own pipeline. */
export type SharedEvent =
  | { type: "event"; pipeline: string; id: string; channel: string; data: string }
  | {
    type: "gap";
    pipeline: string;
    id: string;
    /** Position of the event before the gap. */
    after: string;
    /** Position that the gap follows. A tab outside of these two has another gap. */
    upTo: string;
    missed: number | null;
    reason: string;
  }
  | { type: "end"; pipeline: string; id: string; events: number };

/** A tab that wants to share a stream, with its position. */
export interface JoinMessage {
  type: "join";
  /** Number, which only grows. */
  join: number;
  /** Base URL of the service. */
  url: string;
  /** Pipelines whose run has not ended, 1 to 10. */
  pipelines: readonly string[];
  /** Channels; empty for all. */
  channels: readonly string[];
  /** Token of the tab. */
  token: string | undefined;
  /** Name under which tabs share a stream although their tokens differ. */
  share: string | undefined;
  /** Position of each pipeline. */
  positions: ReadonlyMap<string, string>;
  /** Whether the tab has a stream of its own, which is live. */
  hasStream: boolean;
}

/** Messages of a tab. */
export type TabMessage =
  | {
    type: "hello";
    /** Version of its messages. It is here in all versions. */
    version: number;
    /** Name of the lock that the tab holds until it is gone. */
    lock: string;
  }
  | JoinMessage
  | {
    type: "acknowledge";
    feed: number;
    /** Number of events and signs of life of the feed that the tab has taken. */
    count: number;
    /** Length of the data in them, in UTF-16 code units. */
    length: number;
  }
  | { type: "leave" | "retry" | "bye" };

/** Messages of the worker. */
export type WorkerMessage =
  | {
    type: "welcome";
    /** Version of its messages. It is here in all versions. */
    version: number;
    /** Name of the lock that the worker holds until it is gone. */
    lock: string;
  }
  | {
    /**
     * - `where`: the tab is asked to join once more, with its position as of now.
     * - `poke`: the shared stream is back.
     */
    type: "where" | "poke";
  }
  | {
    /** No stream is shared that continues after the position of the tab. */
    type: "alone";
    join: number;
  }
  | {
    /** The shared stream is interrupted; a `poke` follows. */
    type: "down";
    join: number;
    reason: string;
  }
  | {
    /** A feed begins: all events of the tab's pipelines after these positions. */
    type: "feed";
    /** Number by which the tab joined, here and in all messages of the feed. */
    feed: number;
    positions: ReadonlyMap<string, string>;
  }
  | FeedMessage;

/** Messages of a feed. A tab ignores those of a feed that it has left. */
export type FeedMessage =
  | { type: "events"; feed: number; events: readonly SharedEvent[] }
  | {
    /** Everything up to these positions was sent; also a sign of life. */
    type: "positions";
    feed: number;
    positions: ReadonlyMap<string, string>;
  }
  | {
    /** The events before it were published before the feed began. */
    type: "live";
    feed: number;
  }
  | {
    /** The feed ends. */
    type: "stop";
    feed: number;
    reason: string;
    /** Whether the tab continues at once, instead of after its reconnection time. */
    isPlanned: boolean;
  };

/** Length of an event, as it counts for {@linkcode WINDOW_LENGTH}. */
export function lengthOf(event: SharedEvent): number {
  return event.type === "event" ? event.data.length : 0;
}

/**
 * Returns the event of a stream as the worker sends it.
 *
 * @param id Part of the event ID of its own pipeline.
 * @param before Positions that the event follows.
 */
export function toSharedEvent(
  event: Exclude<ClientEvent, { type: "live" }>,
  id: string,
  before: { after: string; upTo: string },
): SharedEvent {
  const { pipeline } = event;
  switch (event.type) {
    case "event":
      return { type: "event", pipeline, id, channel: event.channel, data: event.data };
    case "gap":
      return {
        type: "gap",
        pipeline,
        id,
        ...before,
        missed: event.missed,
        reason: event.reason,
      };
    case "end":
      return { type: "end", pipeline, id, events: event.events };
  }
}
