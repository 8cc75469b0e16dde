/**
 * Deep values.
 *
 * @module
 */

/** Arrays inside each other. */
export function nest(levels: number): unknown[] {
  let value: unknown[] = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}
