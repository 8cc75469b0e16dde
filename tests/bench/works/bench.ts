/**
 * Conditions under which all workloads are measured.
 *
 * @module
 */

import type { Load, LoadOptions } from "../load.ts";
import type { Peer, Server, Wire } from "../peers/mod.ts";
import type { Sample } from "../statistics.ts";
import type { Entry } from "../work.ts";

/** Conditions of a run. */
export interface Bench {
  load: Load;
  /** Measured time of each turn, in seconds. */
  seconds: number;
  /** Whether numbers of clients are small, so that a run takes a second. */
  isTiny: boolean;
  /** Runnel, and the peers that `--peers` and `--base` name. */
  peers: readonly Peer[];
}

/** Number of clients, of which a tiny run has a few. */
export function size({ isTiny }: Bench, count: number): number {
  return isTiny ? Math.max(2, Math.round(count / 50)) : count;
}

/** Whether a peer is Runnel, at any commit. */
export function isRunnel({ word }: Peer): boolean {
  return word === "runnel" || word === "base";
}

/** Options of one event, or of several if the server takes them in one request. */
export function requestOptions({ single, batch }: Wire, events: number): LoadOptions {
  return events > 1 && batch !== null ? { ...single, ...batch, batch: events } : single;
}

/** Requests that a server has answered before others are counted. */
const WARMUP_REQUESTS = 20_000;

/**
 * Measures a server by one call of the load generator. Before a number of requests, it is
 * warmed up by others, to a pipeline that is not measured.
 */
export async function drive(
  bench: Bench,
  peer: Peer,
  options: LoadOptions,
  events = 1,
): Promise<Sample> {
  await using server = await peer.start();
  const common = {
    ports: server.ports.join(","),
    pids: (await server.pids()).join(","),
    seconds: bench.seconds,
    ...bench.isTiny && { warmup: 0.2, settle: 0.1 },
    ...requestOptions(peer.wire, events),
  };
  if ("requests" in options) {
    const event = String(peer.wire.single["event"]).replace("{pipeline}", "p_warmup");
    const requests = size(bench, WARMUP_REQUESTS);
    await bench.load.run("drive", { ...common, event, requests, publishers: 64 });
  }
  const before = await server.counts?.();
  const sample = await bench.load.run("drive", { ...common, ...options });
  const after = await server.counts?.();
  await checkStored(server, Number(options["pipelines"] ?? 1), sample["accepted"]!);
  const { deliveries, deliveriesPerSecond, eventsPerSecond, serverCpu, accepted } = sample;
  // Those before the measured time are counted, too.
  const perSecond = (count: "commits" | "writes") =>
    before && after ? (after[count] - before[count]) / accepted! * eventsPerSecond! : NaN;
  return {
    ...sample,
    commitsPerSecond: perSecond("commits"),
    writesPerSecond: perSecond("writes"),
    cpuPerDelivery: deliveries === 0 ? NaN : serverCpu! / deliveriesPerSecond! * 1e6,
    cpuPerEvent: serverCpu! / eventsPerSecond! * 1e6,
  };
}

/** Asserts that a server that numbers its events has stored as many as it has accepted. */
async function checkStored(server: Server, pipelines: number, accepted: number): Promise<void> {
  if (!server.newest) return;
  let stored = 0;
  for (let pipeline = 0; pipeline < pipelines; pipeline++) {
    stored += await server.newest(`p_${`${pipeline}`.padStart(6, "0")}`);
  }
  if (stored !== accepted) throw new Error(`${accepted} events were accepted, ${stored} stored`);
}

/** An entry that measures a peer. */
export function entry(peer: Peer, group: string, run: () => Promise<Sample>): Entry {
  const { name, promises, missing } = peer;
  return { group, name, isRunnel: isRunnel(peer), promises, missing, run };
}
