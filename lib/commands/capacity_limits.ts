/**
 * The limits of `deno task capacity`: from what a load needs to what is exhausted first.
 *
 * @module
 */

import { MEASURED } from "./capacity_constants.ts";
import type { CapacityLoad, Machine, Needs } from "./capacity_model.ts";

/** A limit, and the share of it that a load takes. */
export interface Limit {
  name: string;
  /** Share that is in use; above 1 it is exhausted. */
  share: number;
  /** Remedy. */
  remedy: string;
}

/** Returns the limits of a load on machines of a kind, the tightest first. */
export function findLimits(load: CapacityLoad, needs: Needs, machine: Machine): Limit[] {
  const { isolates, processes, subscribers, rate } = load;
  const isShared = processes > 1;
  const more = isShared ? "more processes" : "more isolates, or processes on a KV server";
  // The isolate that owns a file serves no requests.
  const cores = Math.min(machine.cores, isolates > 1 ? isolates + 1 : 1.3);
  const publishes = isShared ? MEASURED.publishesOfServer : MEASURED.publishesOfFile;
  return [
    {
      name: "CPU, each event in a write of its own",
      share: needs.cpu / cores,
      remedy: `nothing yet: events then share writes and arrive later; else ${more}`,
    },
    { name: "CPU, events sharing writes", share: needs.cpuShared / cores, remedy: more },
    {
      name: "memory",
      share: needs.memory / machine.memory,
      remedy: "more memory, or more processes",
    },
    {
      name: "open files",
      share: needs.files / machine.files,
      remedy: "LimitNOFILE, or more processes",
    },
    {
      name: "bandwidth",
      share: needs.bandwidth / machine.bandwidth,
      remedy: "more processes, on other machines",
    },
    {
      name: isShared ? "publishes of one KV server" : "publishes of one file",
      share: rate / publishes,
      remedy: "several events in a request, or a second service with pipelines of its own",
    },
    ...isShared
      ? [{
        name: "reads of one KV server",
        share: needs.reads / MEASURED.readsOfServer,
        remedy: "all clients of a pipeline at one process (--sticky), or a second service",
      }]
      : [],
    {
      name: "disk",
      share: needs.disk / machine.disk,
      remedy: "more disk, a smaller RUNNEL_RETENTION, or fewer keys",
    },
    {
      name: "RUNNEL_MAX_SUBSCRIBERS, 10,000 of an isolate by default",
      share: subscribers / processes / isolates / 10_000,
      remedy: "a higher value, within memory and open files",
    },
    {
      name: "RUNNEL_MAX_PIPELINES, 10,000 of an isolate by default",
      share: needs.pipelines / 10_000,
      remedy: "a higher value",
    },
  ].sort((a, b) => b.share - a.share);
}
