/**
 * Whether a service holds on to nothing.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { settled } from "./fake_clock.ts";
import type { TestService } from "./test_service.ts";

/** How often it is looked again whether calls under way are over. */
const MAX_TURNS = 100;

/** Asserts that nobody and nothing is registered: no stream, no publish, no timer. */
export async function assertIdle({ hub, log, probes, clock }: TestService): Promise<void> {
  await settled();
  // A call to the store that is under way has its deadline; what is left behind stays.
  for (let turns = 0; turns < MAX_TURNS && clock.liveTimers > 0; turns++) await settled();
  deepEqual(hub.stats, {
    pipelines: 0,
    subscribers: 0,
    places: 0,
    publishing: 0,
    tailBytes: 0,
  });
  equal(probes.size, 0);
  deepEqual(log.pending, { waitingBytes: 0, sweeps: 0 });
  equal(clock.liveTimers, 0);
}
