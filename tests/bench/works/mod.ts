/**
 * The workloads, by their letters.
 *
 * @module
 */

import type { Work } from "../work.ts";
import type { Bench } from "./bench.ts";
import { batches, gentle, oneAtATime, sixteenPublishers } from "./fan_out.ts";
import { publishes } from "./publishes.ts";

export type { Bench } from "./bench.ts";

/** The workloads, by the letters of `--work`. */
export const WORKS: Readonly<Record<string, (bench: Bench) => Work>> = {
  a: oneAtATime,
  b: sixteenPublishers,
  c: batches,
  d: gentle,
  e: publishes,
};
