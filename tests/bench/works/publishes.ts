/**
 * Publishes without subscribers.
 *
 * @module
 */

import type { Work } from "../work.ts";
import { type Bench, drive, entry } from "./bench.ts";

const LOADS = [
  { group: "1 pipeline, 64 connections", pipelines: 1, publishers: 64, events: 1 },
  { group: "100 pipelines, 64 connections", pipelines: 100, publishers: 64, events: 1 },
  { group: "1 pipeline, 1 connection, batches of 100", pipelines: 1, publishers: 1, events: 100 },
] as const;

/** Row (e). */
export function publishes(bench: Bench): Work {
  const value = "eventsPerSecond";
  return {
    letter: "e",
    title: "Publishes, without subscribers",
    columns: [
      { value, heading: "events/s" },
      { value: "publishP50", heading: "publish p50, ms", digits: 2 },
      { value: "publishP99", heading: "p99", digits: 1 },
      { value: "cpuPerEvent", heading: "server CPU, µs/event", digits: 1 },
      { value: "loadCpu", heading: "generator CPU", digits: 2 },
    ],
    goals: [
      { value, to: "Runnel at", group: LOADS[0].group, atLeast: 1.5 },
      { value, to: "Runnel at", group: LOADS[1].group, atLeast: 2.5 },
      { value, to: "Runnel at", group: LOADS[2].group, atLeast: 1 },
      { value, to: "Centrifugo", group: LOADS[0].group, atLeast: 0.5 },
      { value, to: "Centrifugo", group: LOADS[1].group, atLeast: 0.5 },
    ],
    entries: LOADS.flatMap(({ group, pipelines, publishers, events }) =>
      bench.peers.map((peer) =>
        entry(
          peer,
          group,
          () => drive(bench, peer, { subscribers: 0, pipelines, publishers }, events),
        )
      )
    ),
  };
}
