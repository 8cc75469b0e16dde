/**
 * Answers requests for the history of a pipeline, within limits of their number.
 *
 * @module
 */

import { RunnelError, Semaphore } from "../base/mod.ts";
import {
  endOf,
  type EventPage,
  type HistoryLog,
  type HistoryPage,
  readEventPage,
  readHistory,
  readPosition,
} from "../log/mod.ts";
import { ChannelFilter, type HistoryRange, type Position, rangeOfNewest } from "../protocol/mod.ts";
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
  log: HistoryLog;
  /** Maximum number of events in a history. */
  history: number;
}

/** Request of a client that reads events. */
export interface ReadRequest {
  /** Channels of the events; all if there are none. */
  channels?: readonly string[] | undefined;
  /** Address of the client; `null` for a client that is not counted by address. */
  address?: string | null | undefined;
  /** Settles when the connection closes, which a client that does not read delays. */
  connectionClosed?: Promise<unknown> | undefined;
}

/** Request for a history. */
export interface HistoryRequest extends ReadRequest {
  /** Range of the history. By default, the newest events, up to the configured number. */
  history?: HistoryRange | undefined;
}

/** Request for a page of events. */
export interface PageRequest extends ReadRequest {
  /** Position after which it begins; `null` for the oldest event that is retained. */
  after: Position | null;
  /** Maximum number of events, 1 or more. */
  limit: number;
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
    const range = limitRange(history, rangeOfNewest(this.#options.history));
    const filter = ChannelFilter.of(channels);
    using place = this.#quota.acquire(address);
    const pages = readHistory(pipeline, {
      log: this.#options.log,
      reads: this.#reads,
      filter,
      skip: (position) => this.#starts.skip(pipeline, position, filter),
      findStart: (head) => {
        // No event is in memory: all are found in the log.
        const known = new EncodedEvents(head.epoch, head.sequence);
        known.end = endOf(head);
        return this.#starts.find({ pipeline, newest: () => known, filter, range });
      },
    });
    if (connectionClosed) releaseAfter(connectionClosed, place.move());
    yield* pages;
  }

  /**
   * Reads a page. It is counted as a history, until its connection is closed.
   *
   * @throws {RunnelError} As {@linkcode readEventPage}; `overloaded` or `too-many-requests`
   *   if a limit is reached.
   */
  async readPage(
    pipeline: string,
    { after, limit, channels = [], address = null, connectionClosed }: PageRequest,
  ): Promise<EventPage> {
    using place = this.#quota.acquire(address);
    const page = await this.readUncounted(pipeline, { after, limit, channels });
    if (connectionClosed) releaseAfter(connectionClosed, place.move());
    return page;
  }

  /**
   * Reads a page for a client that is counted elsewhere.
   *
   * @throws {RunnelError} As {@linkcode readEventPage}.
   */
  readUncounted(
    pipeline: string,
    { after, limit, channels = [] }: Pick<PageRequest, "after" | "limit" | "channels">,
  ): Promise<EventPage> {
    return readEventPage(pipeline, {
      log: this.#options.log,
      reads: this.#reads,
      filter: ChannelFilter.of(channels),
      after,
      limit,
    });
  }

  /**
   * Reads the position at which a history ends that is read now.
   *
   * @param address Address of the client; `null` for one that is not counted by address.
   * @throws {RunnelError} `log-unavailable` if the log does not answer; `overloaded` or
   *   `too-many-requests` if a limit is reached.
   */
  async readPosition(pipeline: string, address: string | null): Promise<Position> {
    using _place = this.#quota.acquire(address);
    return await readPosition(this.#options.log, pipeline);
  }
}

/** Gives a place back when a promise has settled. */
function releaseAfter(settled: Promise<unknown>, place: DisposableStack): void {
  // In a scope of its own: for as long as a connection is open, this holds nothing else.
  const release = () => place.dispose();
  settled.then(release, release);
}

/**
 * Returns the range of a history.
 *
 * @param requested Range that a client asked for, if any. It may be of all that is retained.
 * @param configured Range of a client that asked for none, and with the maximum of a number.
 */
export function limitRange(
  requested: HistoryRange | undefined,
  configured: HistoryRange,
): HistoryRange {
  // The same one for most: each stream keeps its range.
  if (requested === undefined) return configured;
  const { count, since } = requested;
  return { count: count === Infinity ? Infinity : Math.min(count, configured.count), since };
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
