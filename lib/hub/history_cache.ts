/**
 * A cache of what was read to find where histories begin, within limits of memory.
 *
 * @module
 */

import type { ChannelScan } from "../log/mod.ts";

/** Maximum memory of the scans that are kept, in bytes. */
const MAX_SCANS_BYTES = 8 * 1024 * 1024;

/** Maximum memory of the starts that are kept, in bytes. */
const MAX_STARTS_BYTES = 1024 * 1024;

/** Memory of an entry or a string beside its content, in bytes. */
const OVERHEAD_BYTES = 128;

/** Scans of logs and starts of histories, for all pipelines of an isolate. */
export class HistoryCache {
  /** Scans by pipeline, the one that was made last at the end. */
  readonly #scans = new Map<string, ChannelScan>();
  #scansBytes = 0;
  readonly #starts = new Map<string, number>();
  #startsBytes = 0;

  /** Memory of all that is kept, in bytes. */
  get bytes(): number {
    return this.#scansBytes + this.#startsBytes;
  }

  /** Returns the last scan of a pipeline, if it is kept. */
  scan(pipeline: string): ChannelScan | undefined {
    return this.#scans.get(pipeline);
  }

  /** Keeps a scan in place of the one before, and drops the oldest ones of other pipelines. */
  keepScan(pipeline: string, scan: ChannelScan): void {
    this.#dropScan(pipeline);
    this.#scans.set(pipeline, scan);
    this.#scansBytes += memoryOf(scan);
    for (const [oldest] of this.#scans) {
      if (this.#scansBytes <= MAX_SCANS_BYTES || oldest === pipeline) break;
      this.#dropScan(oldest);
    }
  }

  #dropScan(pipeline: string): void {
    const scan = this.#scans.get(pipeline);
    if (!scan) return;
    this.#scans.delete(pipeline);
    this.#scansBytes -= memoryOf(scan);
  }

  /** Returns the sequence of a start, if it is kept. */
  start(key: string): number | undefined {
    return this.#starts.get(key);
  }

  /** Keeps the sequence of a start, and drops all others if there are too many. */
  keepStart(key: string, start: number): void {
    this.#startsBytes += 2 * key.length + OVERHEAD_BYTES;
    if (this.#startsBytes > MAX_STARTS_BYTES) {
      this.#starts.clear();
      this.#startsBytes = 2 * key.length + OVERHEAD_BYTES;
    }
    this.#starts.set(key, start);
  }
}

function memoryOf({ indexes, channels }: ChannelScan): number {
  let bytes = OVERHEAD_BYTES + channels.byteLength;
  for (const name of indexes.keys()) bytes += 2 * name.length + OVERHEAD_BYTES;
  return bytes;
}
