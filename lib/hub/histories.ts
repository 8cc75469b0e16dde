/**
 * Answers requests for the history of a pipeline, within limits of their number.
 *
 * @module
 */

import { RunnelError, Semaphore } from "../base/mod.ts";
import { endOf, type HistoryPage, type Log, readHistory } from "../log/mod.ts";
import { ChannelFilter } from "../protocol/mod.ts";
import { EncodedEvents } from "../stream/mod.ts";
import { ClientQuota } from "./client_quota.ts";
import type { HistoryStarts } from "./history_starts.ts";

/** Maximum number of pages read at once. */
const MAX_READS = 4;

/** Maximum numbers of histories that are being sent. */
export interface HistoryLimits {
  /** In total. */
  maxHistories: number;
  /** Per client address. */
  maxAddressHistories: number;
}

/** Options for {@linkcode Histories}. */
export interface HistoriesOptions extends HistoryLimits {
  /** The log that is read. */
  log: Pick<Log, "head" | "readAfter">;
  /** Maximum number of events in a history. */
  history: number;
}

/** Request for a history. */
export interface HistoryRequest {
  /** Maximum number of events; `Infinity` for all that are retained. */
  history?: number | undefined;
  /** Channels of the events; all if there are none. */
  channels?: readonly string[] | undefined;
  /** Address of the client; `null` for a client that is not counted by address. */
  address?: string | null | undefined;
  /** Settles when the connection closes, which a client that does not read delays. */
  connectionClosed?: Promise<unknown> | undefined;
}

/** The histories that an isolate sends. */
export class Histories {
  readonly #options: HistoriesOptions;
  readonly #starts: HistoryStarts;
  readonly #reads = new Semaphore(MAX_READS);
  readonly #quota: ClientQuota;

  /** @param starts Finds where the histories of some channels begin. */
  constructor(options: HistoriesOptions, starts: HistoryStarts) {
    this.#options = options;
    this.#starts = starts;
    this.#quota = new ClientQuota({
      max: options.maxHistories,
      maxPerClient: options.maxAddressHistories,
      refuse,
    });
  }

  /** Number of histories that are being sent, or whose connections are still open. */
  get inUse(): number {
    return this.#quota.inUse;
  }

  /**
   * Reads a history. It is counted from the first page until its connection is
   * closed; without a connection, until the last page or the end of the iteration.
   *
   * @throws {RunnelError} As {@linkcode readHistory}; `overloaded` or
   *   `too-many-requests` if a limit is reached.
   */
  async *read(
    pipeline: string,
    { history, channels = [], address = null, connectionClosed }: HistoryRequest,
  ): AsyncGenerator<HistoryPage, void> {
    const count = limitHistory(history, this.#options.history);
    const filter = ChannelFilter.of(channels);
    using place = this.#quota.acquire(address);
    const pages = readHistory(pipeline, {
      log: this.#options.log,
      reads: this.#reads,
      filter,
      skip: (position) => this.#starts.skip(pipeline, position, filter),
      findStart: (head) => {
        // No event is in memory: all are found in the log.
        const newest = new EncodedEvents(head.epoch, head.sequence);
        newest.end = endOf(head);
        return this.#starts.find({ pipeline, newest: () => newest, filter, count });
      },
    });
    if (connectionClosed) {
      const rest = place.move();
      const leave = () => rest.dispose();
      connectionClosed.then(leave, leave);
    }
    yield* pages;
  }
}

/** Returns the number of events of a history, of which some or all that are retained are requested. */
export function limitHistory(requested: number | undefined, max: number): number {
  return requested === Infinity ? Infinity : Math.min(requested ?? max, max);
}

function refuse(limit: "total" | "client"): RunnelError {
  return limit === "total"
    ? new RunnelError(
      "overloaded",
      "Cannot read the history: this instance sends as many at once as it may. Try again",
    )
    : new RunnelError(
      "too-many-requests",
      "Cannot read the history: this address reads as many at once as it may. Try again",
    );
}
