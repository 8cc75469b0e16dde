/**
 * The number of segments that one read of the store asks for.
 *
 * @module
 */

import type { Head } from "./head.ts";

/** Minimum number of segments. */
const MIN_SEGMENTS = 4;

/** Maximum number of segments: Deno KV's default of 100 would be 6 MiB at worst. */
const MAX_SEGMENTS = 64;

/**
 * Returns the number of segments that probably contain a number of bytes, so that
 * large ones are not read to be dropped. A segment contains at least one event.
 */
export function readSize({ sequence, oldest, bytes, marks }: Head, maxBytes: number): number {
  const bytesBefore = marks[0]?.[2] ?? bytes;
  const averageBytes = (bytes - bytesBefore) / (sequence - oldest + 1) || 1;
  return Math.ceil(Math.max(MIN_SEGMENTS, Math.min(MAX_SEGMENTS, maxBytes / averageBytes)));
}
