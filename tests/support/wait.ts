/**
 * Ways to wait: for work that is ready (`flush`, `endWork`, `until`), for work that waits
 * for the fake clock (`advanceUntil`), and for other processes and sockets
 * (`eventually`).
 *
 * @module
 */

import type { FakeClock } from "./fakes/clock.ts";
import { workInFlight } from "./work_in_flight.ts";

/** Timeout of a condition, in milliseconds: far more than it takes on a busy machine. */
export const PATIENCE_MS = 15_000;

/** Interval between checks of a condition, in milliseconds. */
const PAUSE_MS = 5;

/** Resolves when `condition` is true; rejects, with the name `what`, if it stays false. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (!await condition()) {
    if (performance.now() > until) throw new Error(`Waited ${PATIENCE_MS} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/**
 * Runs all work that is ready, including that of the runtime's threads, and what a timer of no
 * time starts.
 */
export async function flush(): Promise<void> {
  await endWork();
  await new Promise((resolve) => setTimeout(resolve, 0));
  await endWork();
}

/** Number of turns of the event loop without work in flight after which no more is expected. */
const CALM_TURNS = 3;

/** Resolves when nothing is in flight in the runtime's threads, nor starts in the next turns. */
export async function endWork(): Promise<void> {
  for (let calm = 0; calm < CALM_TURNS; calm++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (workInFlight() > 0) calm = -1;
  }
}

/** Checks of a condition after which others may use the processor between two of them. */
const QUICK_CHECKS = 20;

/** Resolves when a condition is true, without moving the clock. */
export async function until(holds: () => boolean): Promise<void> {
  for (let checks = 0; !holds(); checks++) await (checks < QUICK_CHECKS ? endWork() : flush());
}

/** Awaits work, and advances the clock by a step whenever everything waits. */
export async function advanceUntil<T>(
  clock: FakeClock,
  work: Promise<T>,
  stepMs: number = 1,
): Promise<T> {
  let done = false;
  const end = () => void (done = true);
  work.then(end, end);
  while (!done) {
    await flush();
    if (!done) clock.advance(stepMs);
  }
  return await work;
}
