/**
 * Two processes on one KV server.
 *
 * @module
 */

import { DenoKv, denoKv } from "../../support/stores/denokv.ts";
import type { LoadOptions } from "../load.ts";
import type { Peer } from "../peers/mod.ts";
import type { Work } from "../work.ts";
import { type Bench, drive, entry, isRunnel, size } from "./bench.ts";

/** Payload of a lone publish, in bytes. */
const LONE_BYTES = 4096;

/** A peer of which two processes share a KV server. */
function twoProcesses(peer: Peer): Peer {
  return {
    ...peer,
    missing: denoKv.isInstalled ? null : denoKv.install,
    async start() {
      await using stack = new AsyncDisposableStack();
      const kv = stack.use(await DenoKv.start());
      const servers = [await peer.start(kv.settings)];
      stack.use(servers[0]!);
      servers.push(await peer.start(kv.settings));
      stack.use(servers[1]!);
      const owned = stack.move();
      return {
        ports: servers.flatMap(({ ports }) => ports),
        pids: async () => (await Promise.all(servers.map((server) => server.pids()))).flat(),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

/** Row (l). */
export function remote(bench: Bench): Work {
  const subscribers = size(bench, 500);
  const few = size(bench, 10);
  const lone = `{"pipeline":"{pipeline}","channel":"bench","payload":{"at":"{mark}","text":"${
    "x".repeat(LONE_BYTES)
  }"}}`;
  const loads: { group: string; options: LoadOptions; events?: number }[] = [
    { group: "a lone publish of 4 KB", options: { subscribers: 1, rate: 5, event: lone } },
    { group: `${subscribers}, closed loop`, options: { subscribers, publishers: 1 } },
    ...[[few, 200], [subscribers, 50], [subscribers, 100]].map(([count, rate]) => ({
      group: `${count} × ${rate}/s`,
      options: { subscribers: count!, publishers: 16, rate: rate! },
    })),
    { group: "1 pipeline, 64 publishers", options: { publishers: 64 } },
    { group: "100 pipelines, 64 publishers", options: { publishers: 64, pipelines: 100 } },
    { group: "batches of 100", options: { publishers: 1 }, events: 100 },
  ];
  return {
    letter: "l",
    title: "Two processes on denokv, with publishers and subscribers at both",
    columns: [
      { value: "publishP50", heading: "publish p50, ms", digits: 1 },
      { value: "publishP99", heading: "p99", digits: 1 },
      { value: "eventsPerSecond", heading: "events/s" },
      { value: "deliveriesPerSecond", heading: "deliveries/s" },
      { value: "deliveryP50", heading: "delivery p50, ms", digits: 1 },
      { value: "deliveryP99", heading: "p99", digits: 1 },
    ],
    goals: [{ value: "publishP50", to: "", group: loads[0]!.group, atMost: 5 }],
    entries: loads.flatMap(({ group, options, events }) =>
      bench.peers.filter((peer) => isRunnel(peer)).map(twoProcesses).map((peer) =>
        entry(peer, group, () => drive(bench, peer, options, events))
      )
    ),
  };
}
