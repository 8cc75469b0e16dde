/**
 * Cost of a delivery on streams of several pipelines, of which one is busy.
 *
 * @module
 */

import type { Peer } from "../peers/mod.ts";
import type { Entry, Work } from "../work.ts";
import { type Bench, drive, entry, size } from "./bench.ts";

/** Numbers of pipelines of a stream. */
const PIPELINES = [1, 3, 10];

/** Least measured time at a rate, in seconds: CPU times have steps of 10 ms. */
const MIN_SECONDS = 3;

/** Events a second, at which most events are written alone. */
const RATE = 50;

/** Row (o). */
export function joined(bench: Bench): Work {
  const subscribers = size(bench, 500);
  return {
    letter: "o",
    title: `${subscribers} subscribers, each with a stream of several pipelines`,
    columns: [
      { value: "cost", heading: "server CPU, µs/delivery", digits: 2 },
      { value: "deliveriesPerSecond", heading: "deliveries/s" },
      { value: "deliveryP50", heading: "delivery p50, ms", digits: 1 },
      { value: "deliveryP99", heading: "p99", digits: 1 },
      { value: "eventsPerRead", heading: "events/read", digits: 1 },
      { value: "loadCpu", heading: "generator CPU", digits: 2 },
    ],
    goals: [],
    entries: bench.peers.filter((peer) => peer.word === "runnel").flatMap((peer) => [
      ...entriesOf(bench, peer, "gentle"),
      ...entriesOf(bench, peer, "batches"),
    ]),
    remark: "One pipeline of each stream is busy. Gentle: 50 events a second, and the cost is " +
      "without that of the publishes, which the same turn measures without subscribers. " +
      "Batches: 20 events a request, as fast as they are answered, and the cost is with the " +
      "publishes; streams at the same positions share their chunks.",
  };
}

function entriesOf(bench: Bench, peer: Peer, load: "gentle" | "batches"): Entry[] {
  const subscribers = size(bench, 500);
  const run = async (subscribe: string) => {
    if (load === "batches") {
      const sample = await drive(bench, peer, { subscribers, publishers: 1, subscribe }, 20);
      return { ...sample, cost: sample["cpuPerDelivery"]! };
    }
    const seconds = bench.isTiny ? bench.seconds : Math.max(bench.seconds, MIN_SECONDS);
    const options = { publishers: 16, rate: RATE, seconds, subscribe };
    const alone = await drive(bench, peer, { ...options, subscribers: 0 });
    const sample = await drive(bench, peer, { ...options, subscribers });
    const cpu = sample["serverCpu"]! - alone["serverCpu"]!;
    return { ...sample, cost: cpu / sample["deliveriesPerSecond"]! * 1e6 };
  };
  const named = (name: string, subscribe: string) => ({
    ...entry(peer, load, () => run(subscribe)),
    name,
  });
  return [
    named("a stream of one pipeline", String(peer.wire.single["subscribe"])),
    ...PIPELINES.map((count) => {
      const quiet = Array.from({ length: count - 1 }, (_, index) => `&pipeline=p_quiet${index}`);
      const path = `/sse?pipeline={pipeline}${quiet.join("")}`;
      return named(`several: ${count} pipeline${count === 1 ? "" : "s"}`, path);
    }),
  ];
}
