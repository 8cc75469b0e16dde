/**
 * Ways to wait: for work that is ready (`flush`, `until`), for work that waits
 * for the fake clock (`advanceUntil`), and for other processes and sockets
 * (`eventually`).
 *
 * @module
 */

import type { FakeClock } from "./fakes/clock.ts";

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

/** Runs all work that is ready, including asynchronous work of the runtime. */
export async function flush(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Resolves when a condition is true, without moving the clock. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await flush();
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
