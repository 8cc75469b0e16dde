/**
 * The delay of the event loop: the time by which a timer is late.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";
import type { Metrics } from "./metrics.ts";

/** Interval of the timer, in milliseconds. */
const INTERVAL_MS = 100;

/**
 * Measures the delay of the event loop until the result is disposed of. The meter of
 * `node:perf_hooks` has percentiles, which cannot be added up over isolates.
 */
export function measureLoopDelay(
  { loopDelay }: Pick<Metrics, "loopDelay">,
  clock: Pick<Clock, "monotonic" | "every">,
): Disposable {
  let last = clock.monotonic();
  return clock.every(INTERVAL_MS, () => {
    const now = clock.monotonic();
    loopDelay.record(Math.max(0, now - last - INTERVAL_MS) / 1000);
    last = now;
  });
}
