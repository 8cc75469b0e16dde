/**
 * The name that somebody most likely meant.
 *
 * @module
 */

// Its main module is CommonJS, which takes five times as long to load.
import { closest, distance } from "fastest-levenshtein/esm/mod.js";

/**
 * Returns the name that is nearest to a misspelt one, or `null` if none is near:
 * more than a third of its letters would have to change, and more than the two of
 * a transposition. Case does not count.
 */
export function findNearest(name: string, names: readonly string[]): string | null {
  const upper = name.toUpperCase();
  const nearest = closest(upper, names.map((name) => name.toUpperCase()));
  const limit = upper.length < 4 ? 0 : Math.max(2, upper.length / 3);
  if (nearest === undefined || distance(upper, nearest) > limit) return null;
  return names.find((name) => name.toUpperCase() === nearest) ?? null;
}
