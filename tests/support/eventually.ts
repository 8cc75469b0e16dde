/**
 * Waits for what other processes and sockets do, in their own time.
 *
 * @module
 */

/** How long a condition may take, in milliseconds: far more than it does on a busy machine. */
export const PATIENCE_MS = 15_000;

/** How often a condition is looked at, in milliseconds. */
const PAUSE_MS = 5;

/** Resolves once `condition` holds; rejects, naming `what`, where it does not come true. */
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
