/**
 * Tells the operator of trouble that no client is told of.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Lines written in a second, so that an outage does not become a flood. */
const MAX_LINES_A_SECOND = 10;

/** Hears of trouble, with what caused it. */
export type Report = (trouble: string, cause?: unknown) => void;

/**
 * Makes a {@linkcode Report} that writes a line for each trouble, ten a second
 * at most, and how many it left out.
 *
 * @param clock Whose time it is.
 * @param write Writes a line.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { systemClock } from "./clock.ts";
 *
 * const lines: string[] = [];
 * const report = createReport(systemClock, (line) => lines.push(line));
 * report("Cannot sweep the log of p_aBcDeF", new Error("disk full"));
 * deepEqual(lines, ["Cannot sweep the log of p_aBcDeF: Error: disk full"]);
 * ```
 */
export function createReport(clock: Clock, write: (line: string) => void): Report {
  let second = 0;
  let lines = 0;
  return (trouble, cause) => {
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) {
      if (lines > MAX_LINES_A_SECOND) write(`… and ${lines - MAX_LINES_A_SECOND} lines more`);
      second = now;
      lines = 0;
    }
    if (++lines > MAX_LINES_A_SECOND) return;
    write(cause === undefined ? trouble : `${trouble}: ${describeCause(cause)}`);
  };
}

/**
 * A failure and what caused it, on one line.
 *
 * @param cause The failure.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const error = new Error("no answer", { cause: new TypeError("closed") });
 * equal(describeCause(error), "Error: no answer (TypeError: closed)");
 * ```
 */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const text = `${cause.name}: ${cause.message}`;
  return cause.cause === undefined ? text : `${text} (${describeCause(cause.cause)})`;
}
