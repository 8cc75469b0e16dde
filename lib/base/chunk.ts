/**
 * Cuts lists into parts, for calls that take only so many items.
 *
 * @module
 */

/** Yields the items of a list in order, in parts of `size`; the last may be smaller. */
export function* chunk<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size);
}
