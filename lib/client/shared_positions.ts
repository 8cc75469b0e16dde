/**
 * Positions of several pipelines, which an event ID holds one beside the other.
 *
 * @module
 */

/** Event ID of each pipeline, such as `mSa2Rkz0vHY-2`, by the pipeline. */
export type Positions = Map<string, string>;

/**
 * Splits the event ID of a stream.
 *
 * @param pipelines Pipelines of the stream, in the order of its URL.
 * @returns `null` if the ID does not have one part for each pipeline.
 */
export function readPositions(id: string, pipelines: readonly string[]): Positions | null {
  const parts = id.split(".");
  if (parts.length !== pipelines.length || parts.includes("")) return null;
  return new Map(pipelines.map((pipeline, index) => [pipeline, parts[index]!]));
}

/** Joins the event ID of a stream of these pipelines, all of which have a position. */
export function formatPositions(positions: Positions, pipelines: readonly string[]): string {
  return pipelines.map((pipeline) => positions.get(pipeline)).join(".");
}

/**
 * Compares two positions of one pipeline.
 *
 * @returns A negative number, 0 or a positive one, if the first is before, at or after the second;
 *   `NaN` if they belong to different logs, or one is missing. No comparison with it is true.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(comparePositions("mSa2Rkz0vHY-10", "mSa2Rkz0vHY-9"), 1);
 * equal(comparePositions("mSa2Rkz0vHY-10", "AAAAAAAAAAA-9"), NaN);
 * ```
 */
export function comparePositions(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return NaN;
  // The epoch may hold hyphens as well.
  const [endA, endB] = [a.lastIndexOf("-"), b.lastIndexOf("-")];
  if (a.slice(0, endA) !== b.slice(0, endB)) return NaN;
  return Number(a.slice(endA + 1)) - Number(b.slice(endB + 1));
}

/** Whether the first positions are at or after the second ones, for each of some pipelines. */
export function haveReached(
  positions: ReadonlyMap<string, string>,
  goal: ReadonlyMap<string, string>,
  pipelines: Iterable<string>,
): boolean {
  for (const pipeline of pipelines) {
    if (!(comparePositions(positions.get(pipeline), goal.get(pipeline)) >= 0)) return false;
  }
  return true;
}
