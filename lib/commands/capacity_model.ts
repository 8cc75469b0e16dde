/**
 * The model behind `deno task capacity`: from a load to what it needs, by the measured
 * constants.
 *
 * @module
 */

import { MEASURED } from "./capacity_constants.ts";

const DAY_S = 86_400;

/** A load that lasts. */
export interface CapacityLoad {
  /** Subscribers, spread evenly over the pipelines. */
  subscribers: number;
  /** Pipelines that have subscribers. */
  pipelines: number;
  /** Events a second, over all pipelines, one in a request. */
  rate: number;
  /** Size of a payload, in bytes. */
  payload: number;
  /** Share of the subscribers that stall, from 0 to 1. */
  stalled: number;
  /** Share of the publishes that have an `Idempotency-Key`, from 0 to 1. */
  keys: number;
  /** Events that the log keeps of a pipeline: `RUNNEL_RETENTION`. */
  retention: number;
  /** Isolates of each process. */
  isolates: number;
  /** Processes; more than one needs a KV server. */
  processes: number;
  /** Whether the subscribers of a pipeline are all at one process, and not at all of them. */
  sticky: boolean;
}

/** A machine of one process. */
export interface Machine {
  /** Cores. */
  cores: number;
  /** Memory, in bytes. */
  memory: number;
  /** Open files of a process. */
  files: number;
  /** Bandwidth, in bits a second. */
  bandwidth: number;
  /** Room for the log, in bytes. */
  disk: number;
  /** CPU time that work takes here, as a multiple of that of the measured machine. */
  slowness: { commits: number; deliveries: number };
}

/** Needs of a load. Those of a process are of the one with the most work. */
export interface Needs {
  /** Memory of a process, in bytes. */
  memory: number;
  /** CPU time of a process, in cores, if each event has a write of its own. */
  cpu: number;
  /** The same if events share passes as far as they can: then they arrive later. */
  cpuShared: number;
  /** Open files of a process. */
  files: number;
  /** Bytes that a process sends on streams, a second, without packets. */
  sent: number;
  /** Bits that a process sends, a second, with packets. */
  bandwidth: number;
  /** Events to subscribers, a second, over all processes. */
  deliveries: number;
  /** Commits of the store, a second, over all processes. */
  commits: number;
  /** Reads of the store, a second, over all processes. */
  reads: number;
  /** Watches of the KV server, over all processes, and their connections. */
  watches: number;
  connections: number;
  /** Pipelines with subscribers in an isolate. */
  pipelines: number;
  /** Bytes that an event adds to the log. */
  stored: number;
  /** Size of the log when all pipelines are full, in bytes. */
  disk: number;
}

/** Returns the commits a second that publishes make: beyond what the disk syncs, they share. */
function commitsOf(rate: number): number {
  return rate / Math.hypot(1, rate / MEASURED.commitsPerSecond);
}

/** Returns the bytes that an event adds to the file: a large row takes pages of its own. */
function storedOf(payload: number): number {
  const { overheadOfEvent, fillOfPages, rowInPage, restOfRow, page } = MEASURED;
  const row = payload + overheadOfEvent;
  if (row <= rowInPage) return row * fillOfPages;
  return restOfRow * fillOfPages + page * Math.ceil((row - restOfRow) / page);
}

/**
 * Returns what a load needs.
 *
 * Subscribers and publishes are spread evenly over the processes, and the subscribers of a
 * pipeline over all of them.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { LOAD, MACHINE } from "./capacity_defaults.ts";
 *
 * ok(predict({ ...LOAD, subscribers: 1000 }, MACHINE).files > 1000);
 * ```
 */
export function predict(load: CapacityLoad, { slowness }: Pick<Machine, "slowness">): Needs {
  const m = MEASURED;
  const { subscribers, pipelines, rate, payload, isolates, processes } = load;
  const isShared = processes > 1;
  const here = subscribers / processes;
  const each = subscribers / pipelines;
  // On a KV server, each isolate watches and reads for itself.
  const units = isShared ? processes * isolates : 1;
  const sharers = Math.min(each, load.sticky ? units / processes : units);
  const pipelinesOfUnit = pipelines * sharers / units;
  const pipelinesHere = pipelines * Math.min(each, load.sticky ? 1 : processes) / processes;
  const eventsHere = rate * sharers / processes;
  const watchesOfUnit = isShared ? Math.ceil(pipelinesOfUnit / m.pipelinesOfWatch) : 0;
  const owners = isolates > 1 ? 1 : 0;
  const published = rate / processes;
  const deliveries = rate * each;
  const deliveriesHere = deliveries / processes;
  // A KV server syncs elsewhere, and many commits to it are in flight.
  const commitsHere = isShared ? published : commitsOf(published);
  const ofCommits = slowness.commits *
    (commitsHere * (isShared ? m.cpuOfRemoteCommit : m.cpuOfCommit) + published * m.cpuOfEvent);
  const ofPasses = eventsHere * m.cpuOfPass + here * m.cpuOfIdle;
  const cpuWith = (cpuOfDelivery: number, passes: number) =>
    ofCommits + slowness.deliveries * (passes + deliveriesHere * cpuOfDelivery);
  const stored = storedOf(payload);
  const onStream = payload + m.overheadOnStream;
  return {
    memory: m.memoryAtStart + (isolates - 1) * m.memoryOfIsolate + owners * m.memoryOfOwner +
      (rate > 0 ? m.memoryOfUse : 0) + (subscribers > 0 ? m.memoryOfUse : 0) +
      here * (load.stalled * m.memoryOfStalled + (1 - load.stalled) * m.memoryOfSubscriber) +
      pipelinesHere * m.memoryOfPipeline,
    cpu: cpuWith(m.cpuOfDelivery, ofPasses),
    cpuShared: cpuWith(m.cpuOfSharedDelivery, here * m.cpuOfIdle),
    files: m.filesAtStart + (isolates - 1) * m.filesOfIsolate + owners * m.filesOfOwner + here,
    sent: deliveriesHere * onStream,
    bandwidth: 8 * deliveriesHere * (onStream + m.overheadOfWrite),
    deliveries,
    commits: commitsHere * processes,
    reads: isShared
      ? commitsHere * processes * m.readsOfPublish +
        // The isolate of the publish does not read, if it has subscribers itself.
        rate * sharers * (1 - 1 / units) * m.readsOfDelivery
      : 0,
    watches: units * watchesOfUnit,
    connections: units * Math.ceil(watchesOfUnit / m.watchesOfConnection),
    pipelines: isShared ? pipelinesOfUnit : Math.min(pipelines, here / isolates),
    stored,
    disk: pipelines * Math.max(load.retention, rate / pipelines * 60) * stored +
      rate * load.keys * DAY_S * m.key,
  };
}
