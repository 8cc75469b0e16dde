/**
 * Chunks that were made for one subscriber and fit others: all that are at the same
 * cursor with the same filter get the same bytes.
 *
 * @module
 */

import type { Chunk } from "./chunk.ts";

/** Memory of a kept chunk beside its bytes and its key: measured at 525 bytes, and its buffer. */
const OVERHEAD_BYTES = 768;

/** A chunk that is kept. */
interface SharedChunk {
  chunk: Chunk;
  /** Sequence of the last event that it was allowed to have. */
  until: number;
  /** Memory that it takes, in bytes. */
  size: number;
}

/** Subscriber's place among the events, and the end up to which it may get them. */
export interface ChunkPlace {
  /** Sequence before the first event. */
  cursor: number;
  /** Sequence of the last event. */
  until: number;
  /** Key of the filter of the channels. */
  filterKey: string;
}

/**
 * The chunks, within a limit of their memory.
 *
 * Each subscriber looks here at each wake. Maps of numbers take 10 ns for that; one map
 * whose key is a text of all three took 64 ns and left garbage.
 */
export class SharedChunks {
  readonly #byCursor = new Map<number, Map<string, SharedChunk>>();
  #bytes = 0;

  /** Memory of all chunks, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the chunk for a place if it is kept. */
  get({ cursor, until, filterKey }: ChunkPlace): Chunk | undefined {
    const shared = this.#byCursor.get(cursor)?.get(filterKey);
    return shared?.until === until ? shared.chunk : undefined;
  }

  /**
   * Keeps a chunk if it is small enough, and drops all others if they leave no room for it.
   *
   * @param maxBytes Maximum memory of all chunks, in bytes.
   */
  keep({ cursor, until, filterKey }: ChunkPlace, chunk: Chunk, maxBytes: number): void {
    const size = chunk.bytes.length + 2 * filterKey.length + OVERHEAD_BYTES;
    if (size > maxBytes) return;
    if (this.#bytes + size > maxBytes) this.clear();
    let byFilter = this.#byCursor.get(cursor);
    if (!byFilter) this.#byCursor.set(cursor, byFilter = new Map());
    // One for each cursor and filter: subscribers with another end are few, and of a moment.
    this.#bytes += size - (byFilter.get(filterKey)?.size ?? 0);
    byFilter.set(filterKey, { chunk, until, size });
  }

  /** Drops all chunks. */
  clear(): void {
    if (this.#bytes === 0) return;
    this.#byCursor.clear();
    this.#bytes = 0;
  }
}
