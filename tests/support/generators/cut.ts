/**
 * Bytes in pieces, as a network delivers them.
 *
 * @module
 */

/** Cuts bytes at places, each counted from the start again beyond the end. Pieces may be empty. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length];
  ends.sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/** Cuts bytes into pieces of one byte each. */
export function cutBytewise(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
}
