/**
 * The load and the machine that `deno task capacity` assumes where it is told nothing.
 *
 * @module
 */

import type { CapacityLoad, Machine } from "./capacity_model.ts";

/** A small service. */
export const LOAD: CapacityLoad = {
  subscribers: 1000,
  pipelines: 100,
  rate: 10,
  payload: 500,
  stalled: 0,
  keys: 0,
  retention: 1000,
  isolates: 1,
  processes: 1,
  sticky: false,
};

/** A small machine, as fast as the measured one. */
export const MACHINE: Machine = {
  cores: 2,
  memory: 2 * 2 ** 30,
  files: 65_536,
  bandwidth: 1e9,
  disk: 20e9,
  slowness: { commits: 1, deliveries: 1 },
};
