/**
 * The clock of the platform.
 *
 * @module
 */

import type { ClientClock } from "./subscribe_options.ts";

/** Clock of the platform. */
export const systemClock: ClientClock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
