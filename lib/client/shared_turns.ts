/**
 * The turns of tabs to catch up by streams of their own.
 *
 * @module
 */

import type { LocksLike } from "./shared_link.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** Longest wait for the streams of other tabs to catch up, in milliseconds. */
const TURN_MS = 2_000;

/** Number of tabs that catch up at once. A browser has six connections to a host over HTTP/1.1. */
const TURNS = 2;

/** Waits until few other tabs catch up. @returns A function that lets the next one do so. */
export function takeTurn(
  locks: LocksLike,
  clock: ClientClock,
  random: () => number,
): Promise<() => void> {
  const controller = new AbortController();
  return new Promise((resolve) => {
    const cancel = clock.after(TURN_MS, () => controller.abort());
    let release = () => {};
    const go = () => {
      cancel();
      resolve(() => release());
    };
    const name = `runnel-turn-${Math.floor(random() * TURNS)}`;
    locks.request(name, { signal: controller.signal }, () => {
      go();
      return new Promise<void>((done) => release = done);
    }).catch(go);
  });
}
