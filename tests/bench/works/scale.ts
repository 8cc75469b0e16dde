/**
 * Cost of a delivery by the number of subscribers and of pipelines.
 *
 * @module
 */

import type { Peer } from "../peers/mod.ts";
import type { Sample } from "../statistics.ts";
import type { Entry, Work } from "../work.ts";
import { type Bench, drive, entry, isRunnel, size } from "./bench.ts";

/**
 * Subscribers of one pipeline, and events a second. The rates are gentle: at more, events
 * share writes, and a delivery costs less the more there are.
 */
const SUBSCRIBERS = [[10_000, 2], [1000, 20], [100, 100], [10, 400]] as const;

/** Least measured time by subscribers, in seconds. */
const MIN_SECONDS = 4;

/** Pipelines with one subscriber each. */
const PIPELINES = [10_000, 1000, 100, 1];

/** Events of a turn by pipelines: each of the most pipelines gets one. */
const EVENTS = 10_000;

/** Row (h). */
export function scale(bench: Bench): Work {
  const peers = bench.peers.filter((peer) => isRunnel(peer));
  return {
    letter: "h",
    title: "Cost of a delivery by the number of subscribers and of pipelines",
    columns: [
      { value: "cost", heading: "server CPU, µs/delivery", digits: 1 },
      { value: "deliveriesPerSecond", heading: "deliveries/s" },
      { value: "deliveryP50", heading: "delivery p50, ms", digits: 1 },
      { value: "deliveryP99", heading: "p99", digits: 1 },
      { value: "loadCpu", heading: "generator CPU", digits: 2 },
    ],
    goals: [
      { value: "cost", to: "10 subscribers", group: "Runnel: by subscribers", atMost: 1.5 },
      { value: "cost", to: "1 pipeline,", group: "Runnel: first events", atMost: 1.5 },
      { value: "cost", to: "1 pipeline,", group: "Runnel: further events", atMost: 1.5 },
    ],
    entries: peers.flatMap((peer) => [
      ...bySubscribers(bench, peer),
      ...byPipelines(bench, peer, "first events"),
      ...byPipelines(bench, peer, "further events"),
    ]),
    remark: "By subscribers, at a gentle rate, the cost is without that of the publishes, which " +
      "the same turn measures without subscribers. First and further events: 64 publishers " +
      "send 10,000 events, one a request, to the pipelines in turn as fast as they get " +
      "answers, and the cost is with the publish. Each event goes to one subscriber. Before " +
      "the further events, the pipelines get as many others.",
  };
}

function named(peer: Peer, group: string, name: string, run: () => Promise<Sample>): Entry {
  return { ...entry(peer, `${peer.name}: ${group}`, run), name };
}

function bySubscribers(bench: Bench, peer: Peer): Entry[] {
  // CPU times have steps of 10 ms, and are a part of a percent here.
  const seconds = bench.isTiny ? bench.seconds : Math.max(bench.seconds, MIN_SECONDS);
  return SUBSCRIBERS.map(([count, rate]) => {
    const subscribers = size(bench, count);
    return named(peer, "by subscribers", `${subscribers} subscribers, ${rate}/s`, async () => {
      const options = { publishers: 16, rate, seconds };
      const alone = await drive(bench, peer, { ...options, subscribers: 0 });
      const sample = await drive(bench, peer, { ...options, subscribers });
      const cpu = sample["serverCpu"]! - alone["serverCpu"]!;
      return { ...sample, cost: cpu / sample["deliveriesPerSecond"]! * 1e6 };
    });
  });
}

function byPipelines(
  bench: Bench,
  peer: Peer,
  group: "first events" | "further events",
): Entry[] {
  // With fewer than there are events, most events are further ones.
  const counts = group === "first events" ? [EVENTS, 1] : PIPELINES;
  return counts.map((count) => {
    const pipelines = count === 1 ? 1 : size(bench, count);
    const name = `${pipelines} pipeline${pipelines === 1 ? "" : "s"}, 64 publishers`;
    return named(peer, group, name, async () => {
      const requests = size(bench, EVENTS);
      const earlier = group === "first events" ? 0 : requests;
      const options = { subscribers: pipelines, pipelines, publishers: 64, earlier, requests };
      const sample = await drive(bench, peer, options);
      return { ...sample, cost: sample["cpuPerDelivery"]! };
    });
  });
}
