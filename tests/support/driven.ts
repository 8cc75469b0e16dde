/**
 * Awaits work that waits for the clock itself, for a pause before it tries
 * again, say.
 *
 * @module
 */

import { type FakeClock, settled } from "./fake_clock.ts";

/** Awaits work, moving the clock on by a millisecond whenever it does not go on. */
export async function driven<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false;
  const end = () => void (done = true);
  work.then(end, end);
  while (!done) {
    await settled();
    if (!done) clock.advance(1);
  }
  return await work;
}
