/**
 * A herd: thousands of subscribers connect at once, each for a hundred events, and after
 * a loss of all connections come back for the hundred that they have missed.
 *
 * @module
 */

import { history, type Peer } from "../peers/mod.ts";
import type { Sample } from "../statistics.ts";
import type { Entry, Work } from "../work.ts";
import { type Bench, entry, isRunnel, requestOptions, size } from "./bench.ts";

const EVENTS = 100;

/** Peers that have a history of a hundred events. */
const peersOf = ({ peers }: Bench): Peer[] => [
  ...peers.filter((peer) => isRunnel(peer)),
  history,
  ...peers.filter(({ word }) => word === "nchan"),
];

/** Row (f). */
export function join(bench: Bench): Work {
  const subscribers = size(bench, 5000);
  const run = async (peer: Peer): Promise<Sample> => {
    await using server = await peer.start();
    const sample = await bench.load.run("join", {
      ports: server.ports.join(","),
      pids: (await server.pids()).join(","),
      ...requestOptions(peer.wire, EVENTS),
      ...peer.wire.history,
      // The ready line would come after the events; what counts is that they are complete.
      ready: "",
      subscribers,
      events: EVENTS,
    });
    const { joinMs, backMs, joinBytes } = sample;
    return { ...sample, backToJoin: backMs! / joinMs!, bytesEach: joinBytes! / subscribers };
  };
  const entries: Entry[] = peersOf(bench).map((peer) => entry(peer, "", () => run(peer)));
  return {
    letter: "f",
    title: `${subscribers} subscribers join at once, each with ${EVENTS} events; ` +
      `the same come back with an ID for the next ${EVENTS}`,
    columns: [
      { value: "joinMs", heading: "all joined, ms" },
      { value: "joinP50", heading: "join p50, ms" },
      { value: "joinCpu", heading: "CPU each, µs" },
      { value: "backMs", heading: "all back, ms" },
      { value: "backP50", heading: "back p50, ms" },
      { value: "backCpu", heading: "CPU each, µs" },
      { value: "backToJoin", heading: "back ÷ join", digits: 2 },
      { value: "bytesEach", heading: "bytes each" },
    ],
    goals: [
      { value: "joinMs", to: history.name, atMost: 1.5 },
      { value: "backToJoin", to: "", atMost: 1 },
    ],
    entries,
  };
}
