/**
 * Finds where a history begins: the newest events of some channels may lie far behind the
 * newest events of all, and the first event of a time is found in the log alone.
 *
 * @module
 */

import { type Clock, RunnelError, Semaphore, systemClock, Turns } from "../base/mod.ts";
import type { ChannelScan, Log } from "../log/mod.ts";
import type { ChannelFilter, HistoryRange, Position } from "../protocol/mod.ts";
import type { EncodedEvents } from "../stream/mod.ts";
import { HistoryCache } from "./history_cache.ts";

/** Maximum number of scans at once. */
const MAX_SCANS = 2;

/** Maximum number of searches by time at once. */
const MAX_SEARCHES = 4;

/** Number of histories that are looked for in one turn of the event loop, once a scan is there. */
const TURN_SIZE = 10;

/** Maximum number of reads for one start, while the log changes in between. */
const MAX_TRIES = 4;

/** Newest events of a pipeline, and the filter and the range of those that are wanted. */
export interface HistoryScope {
  /** Pipeline ID. */
  pipeline: string;
  /** Returns the newest events. Those before them are in the log. */
  newest: () => EncodedEvents;
  /** Filter of the channels. */
  filter: ChannelFilter;
  /** Range of the history. */
  range: HistoryRange;
}

/**
 * The starts of histories, for all pipelines of an isolate. A scan of the log is
 * shared by all filters, and is good for as long as the newest events in memory
 * reach back to it; a start is shared by all subscribers with the same filter, and the
 * place of a time by all that ask for that time: it is good for as long as the log is there.
 */
export class HistoryStarts {
  readonly #log: Pick<Log, "scanChannels" | "findSince">;
  readonly #scanTurns = new Semaphore(MAX_SCANS);
  readonly #searchTurns = new Semaphore(MAX_SEARCHES);
  /** Reads of the log in progress. */
  readonly #reading = new Map<string, Promise<void>>();
  readonly #cache = new HistoryCache();
  readonly #turns: Turns;

  /** @param clock Clock used for turns of the event loop. */
  constructor(
    log: Pick<Log, "scanChannels" | "findSince">,
    clock: Pick<Clock, "nextTurn"> = systemClock,
  ) {
    this.#log = log;
    this.#turns = new Turns(clock, TURN_SIZE);
  }

  /** Memory of all that is kept, in bytes. */
  get bytes(): number {
    return this.#cache.bytes;
  }

  /**
   * Returns the sequence after which a history begins, at once.
   *
   * @returns `null` if the log has to be scanned before, by {@linkcode HistoryStarts.find}.
   */
  peek(scope: HistoryScope): number | null {
    const byTime = this.#peekTime(scope);
    const byCount = byTime === null ? null : this.#peekCount(scope, byTime);
    return byCount === null ? null : Math.max(byTime!, byCount);
  }

  /** Returns the sequence after which the events are young enough; `null` if it is not known. */
  #peekTime({ pipeline, newest, range: { count, since } }: HistoryScope): number | null {
    // Of none, there is nothing to find.
    if (since === -Infinity || count === 0 || newest().last === 0) return 0;
    const { epoch, lastPublished } = newest();
    const known = this.#cache.start(timeKey(pipeline, epoch, since));
    // The end of the run is none of the events, and what the log has more is young.
    return known === undefined ? null : Math.min(known, lastPublished);
  }

  /**
   * Returns the sequence after which no more events follow than are wanted; `null` if the log
   * has to be scanned before.
   *
   * @param after Sequence of the last event that is too old in any case.
   */
  #peekCount(scope: HistoryScope, after: number): number | null {
    const { pipeline, filter, range: { count } } = scope;
    const newest = scope.newest();
    // All of it: what is no longer retained is passed over.
    if (count === Infinity) return 0;
    const last = newest.end ? newest.end.sequence - 1 : newest.last;
    if (filter.keepsAll || count === 0) return Math.max(0, last - count);
    const key = `${pipeline} ${newest.epoch} ${newest.last} ${count} ${filter.key}`;
    const known = this.#cache.start(key);
    if (known !== undefined) return known;
    let { found, first } = newest.newestOf(filter, count);
    if (found < count && newest.first > 1) {
      if (after >= newest.first - 1) return after;
      const scan = this.#cache.scan(pipeline);
      if (scan?.epoch !== newest.epoch || scan.last < newest.first - 1) return null;
      first = oldestOf(scan, { below: newest.first, count: count - found, filter }) ?? first;
    }
    this.#cache.keepStart(key, first - 1);
    return first - 1;
  }

  /**
   * Returns the sequence after which a history begins, and reads the log for it if
   * it has to.
   *
   * @param repair Called if what was read does not fit the newest events: the log may have
   *   been replaced.
   * @throws {RunnelError} `log-unavailable` if the log does not answer, or changes
   *   faster than it is read.
   */
  async find(scope: HistoryScope, repair?: () => Promise<void>): Promise<number> {
    const { pipeline, range: { since } } = scope;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (tries > 1) await repair?.();
      if (this.#peekTime(scope) === null) await this.#search(pipeline, since);
      const start = this.peek(scope);
      if (start !== null) return start;
      if (this.#peekTime(scope) === null) continue;
      await this.#scan(pipeline);
      // Hundreds may have waited for it, each for ten pipelines.
      await this.#turns.next();
    }
    throw new RunnelError(
      "log-unavailable",
      `Cannot find the history of ${pipeline}: its log changes too fast. Try again`,
    );
  }

  /**
   * Returns how far the events after a position are known to be on other channels:
   * a replay need not read them. It is the position itself if nothing is known.
   */
  skip(pipeline: string, { epoch, sequence }: Position, filter: ChannelFilter): number {
    const scan = this.#cache.scan(pipeline);
    if (filter.keepsAll || scan?.epoch !== epoch) return sequence;
    const { last, channels } = scan;
    const isKept = markKept(scan, filter);
    let i = last - sequence;
    // Not past an event whose channel is unknown: if it is lost, the client is told.
    while (i > 0 && i <= channels.length && isKept[channels[i - 1]!] === 0) i--;
    return Math.max(sequence, last - i);
  }

  /** Scans a pipeline, once for all that ask for it at the same time. */
  #scan(pipeline: string): Promise<void> {
    return this.#share(pipeline, () =>
      this.#scanTurns.run(async () => {
        const scan = await this.#log.scanChannels(pipeline);
        if (scan) this.#cache.keepScan(pipeline, scan);
      }));
  }

  /** Searches the place of a time, once for all that ask for it at the same time. */
  #search(pipeline: string, since: number): Promise<void> {
    return this.#share(`${pipeline} ${since}`, () =>
      this.#searchTurns.run(async () => {
        const place = await this.#log.findSince(pipeline, since);
        if (place) this.#cache.keepStart(timeKey(pipeline, place.epoch, since), place.start);
      }));
  }

  /** Reads the log, or joins a read of the same that is in progress. */
  #share(key: string, read: () => Promise<void>): Promise<void> {
    let reading = this.#reading.get(key);
    if (!reading) {
      reading = read().finally(() => this.#reading.delete(key));
      this.#reading.set(key, reading);
    }
    return reading;
  }
}

/** Returns the key of the place of a time. No filter has one like it. */
function timeKey(pipeline: string, epoch: string, since: number): string {
  return `${pipeline} ${epoch} since ${since}`;
}

/** Returns the sequence of the oldest among the newest events that a filter keeps, if there is one. */
function oldestOf(
  scan: ChannelScan,
  { below, count, filter }: { below: number; count: number; filter: ChannelFilter },
): number | null {
  const { last, channels } = scan;
  const isKept = markKept(scan, filter);
  let oldest: number | null = null;
  for (let i = last + 1 - below; i < channels.length && count > 0; i++) {
    if (!isKept[channels[i]!]) continue;
    oldest = last - i;
    count--;
  }
  return oldest;
}

/**
 * Marks the channels that a filter keeps by 1, at their indexes. A filter has 20 at most, and
 * each event of a log may have one of its own.
 */
function markKept({ indexes }: ChannelScan, filter: ChannelFilter): Uint8Array {
  const isKept = new Uint8Array(indexes.size);
  for (const channel of filter.channels) {
    const index = indexes.get(channel);
    if (index !== undefined) isKept[index] = 1;
  }
  return isKept;
}
