/**
 * The workloads, by their letters.
 *
 * @module
 */

import type { Work } from "../work.ts";
import type { Bench } from "./bench.ts";
import { capacity } from "./capacity.ts";
import { batches, gentle, oneAtATime, sixteenPublishers } from "./fan_out.ts";
import { idle } from "./idle.ts";
import { isolates } from "./isolates.ts";
import { join } from "./join.ts";
import { joined } from "./joined.ts";
import { neighbor } from "./neighbor.ts";
import { publishes } from "./publishes.ts";
import { remote } from "./remote.ts";
import { runs } from "./runs.ts";
import { scale } from "./scale.ts";
import { start } from "./start.ts";

export type { Bench } from "./bench.ts";

/** The workloads, by the letters of `--work`. */
export const WORKS: Readonly<Record<string, (bench: Bench) => Work>> = {
  a: oneAtATime,
  b: sixteenPublishers,
  c: batches,
  d: gentle,
  e: publishes,
  f: join,
  g: idle,
  h: scale,
  i: start,
  j: neighbor,
  k: isolates,
  l: remote,
  m: capacity,
  n: runs,
  o: joined,
};
