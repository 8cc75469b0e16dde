/**
 * Subscribers to whom nothing happens.
 *
 * @module
 */

import { bare, type Peer } from "../peers/mod.ts";
import type { Work } from "../work.ts";
import { type Bench, drive, entry, isRunnel, size } from "./bench.ts";

/** Measured time, in seconds: each subscriber gets one keep-alive in it. */
const SECONDS = 15;

/** Row (g). */
export function idle(bench: Bench): Work {
  const subscribers = size(bench, 10_000);
  const seconds = bench.isTiny ? bench.seconds : SECONDS;
  const run = async (peer: Peer) => {
    const sample = await drive(bench, peer, { subscribers, publishers: 0, seconds });
    const { residentBefore, residentAfter, serverCpu, connectMs } = sample;
    return {
      memoryEach: (residentAfter! - residentBefore!) / subscribers / 1024,
      resident: residentAfter! / 2 ** 20,
      cpuPerThousand: serverCpu! / subscribers * 1000 * 100,
      connectMs: connectMs!,
    };
  };
  const peers = [
    ...bench.peers.filter((peer) => isRunnel(peer)),
    { ...bare, name: "bare stream of the runtime", promises: "nothing sent" },
    ...bench.peers.filter(({ word }) => word === "nchan" || word === "centrifugo"),
  ];
  return {
    letter: "g",
    title:
      `${subscribers} idle subscribers for ${seconds} s (a keep-alive comes every ${SECONDS} s)`,
    columns: [
      { value: "memoryEach", heading: "memory each, KiB", digits: 1 },
      { value: "resident", heading: "memory, MiB" },
      { value: "cpuPerThousand", heading: "CPU per 1,000, % of a core", digits: 2 },
      { value: "connectMs", heading: "time to connect, ms" },
    ],
    goals: [
      { value: "memoryEach", to: "bare", atMost: 1.05 },
      { value: "cpuPerThousand", to: "", atMost: 0.5 },
    ],
    entries: peers.map((peer) => entry(peer, "", () => run(peer))),
  };
}
