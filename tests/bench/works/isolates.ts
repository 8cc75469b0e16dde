/**
 * One, two and four isolates.
 *
 * @module
 */

import { runnel } from "../peers/mod.ts";
import type { Work } from "../work.ts";
import { type Bench, drive, entry, size } from "./bench.ts";

const ISOLATES = ["1", "2", "4"];

/** Row (k). */
export function isolates(bench: Bench): Work {
  const subscribers = size(bench, 500);
  const loads = [
    { group: `${subscribers} subscribers, 1 publisher`, options: { subscribers, publishers: 1 } },
    {
      group: `${subscribers} subscribers, 16 publishers`,
      options: { subscribers, publishers: 16 },
    },
    { group: "no subscriber, 64 publishers", options: { subscribers: 0, publishers: 64 } },
    {
      group: "100 pipelines, 64 publishers",
      options: { subscribers: 0, publishers: 64, pipelines: 100 },
    },
  ];
  return {
    letter: "k",
    title: "One, two and four isolates",
    columns: [
      { value: "eventsPerSecond", heading: "events/s" },
      { value: "deliveriesPerSecond", heading: "deliveries/s" },
      { value: "publishP50", heading: "publish p50, ms", digits: 1 },
      { value: "deliveryP50", heading: "delivery p50, ms", digits: 1 },
      { value: "deliveryP99", heading: "p99", digits: 1 },
      { value: "serverCpu", heading: "server CPU, cores", digits: 2 },
    ],
    goals: [],
    entries: loads.flatMap(({ group, options }) =>
      ISOLATES.map((count) => {
        const peer = runnel(`RUNNEL_ISOLATES=${count}`, { RUNNEL_ISOLATES: count });
        return entry(peer, group, () => drive(bench, peer, options));
      })
    ),
  };
}
