/**
 * Turns: each measures all entries once, in alternating order, so that slow changes of
 * the machine meet all of them.
 *
 * @module
 */

import type { Entry, Result, Work } from "./work.ts";

/** Entries in the order of a turn: as they are, or reversed, by turns. */
export function inOrder<T>(entries: readonly T[], turn: number): T[] {
  return turn % 2 === 0 ? [...entries] : entries.toReversed();
}

/**
 * Measures a workload.
 *
 * @param report Called with each entry before it is measured.
 */
export async function measure(
  work: Work,
  turns: number,
  report: (turn: number, entry: Entry) => void,
): Promise<Result[]> {
  const results: Result[] = work.entries.map((entry) => ({ entry, turns: [] }));
  for (let turn = 0; turn < turns; turn++) {
    for (const { entry, turns: samples } of inOrder(results, turn)) {
      if (entry.missing !== null) continue;
      report(turn, entry);
      try {
        samples[turn] = await entry.run();
      } catch (error) {
        samples[turn] = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return results;
}

/** Failures of Runnel, each with the name of its entry. */
export function failuresOfRunnel(results: readonly Result[]): string[] {
  return results.filter(({ entry }) => entry.isRunnel).flatMap(({ entry, turns }) =>
    turns.filter((sample) => typeof sample === "string").map((text) => `${entry.name}: ${text}`)
  );
}
