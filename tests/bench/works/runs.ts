/**
 * Runs that are published while they happen: by appends that stay open, and by one request
 * for each event.
 *
 * @module
 */

import type { LoadOptions } from "../load.ts";
import { PAYLOAD } from "../peers/mod.ts";
import type { Work } from "../work.ts";
import { type Bench, drive, entry, isRunnel, size } from "./bench.ts";

/** Events of each run, a second. */
const RATE = 50;

/** Subscribers of each run. */
const SUBSCRIBERS = 10;

/** Options for events that are appended. */
const APPEND: LoadOptions = {
  append: "/pipelines/{pipeline}/events",
  "publish-headers": "Content-Type: application/x-ndjson",
  event: `{"channel":"bench","payload":${PAYLOAD}}`,
  // The line of the last event of a piece has an end, too.
  after: "\n",
  separator: "\n",
};

/** Row (n). */
export function runs(bench: Bench): Work {
  const pipelines = size(bench, 100);
  const options = {
    pipelines,
    publishers: pipelines,
    subscribers: pipelines * SUBSCRIBERS,
    rate: pipelines * RATE,
  };
  const peers = bench.peers.filter((peer) => isRunnel(peer));
  const by = (name: string, options: LoadOptions) =>
    peers.filter(({ word }) => name === "POST" || word === "runnel").map((peer) => ({
      ...entry(peer, "", () => drive(bench, peer, options)),
      name: `${peer.name}, ${name === "POST" ? "one POST an event" : "appends"}`,
    }));
  return {
    letter: "n",
    title: `${pipelines} runs with ${RATE} events a second and ${SUBSCRIBERS} subscribers each`,
    columns: [
      { value: "deliveryP50", heading: "write to arrival p50, ms", digits: 1 },
      { value: "deliveryP99", heading: "p99", digits: 1 },
      { value: "commitsPerSecond", heading: "commits/s" },
      { value: "writesPerSecond", heading: "writes of the store/s" },
      { value: "eventsPerSecond", heading: "events/s" },
      { value: "cpuPerEvent", heading: "server CPU, µs/event" },
      { value: "loadCpu", heading: "generator CPU", digits: 2 },
    ],
    goals: [
      { value: "deliveryP99", to: "Runnel, one POST", atMost: 1 },
      { value: "cpuPerEvent", to: "Runnel, one POST", atMost: 1 },
    ],
    entries: [...by("append", { ...options, ...APPEND }), ...by("POST", options)],
    remark: "A commit stores events of one run; a write of the store, which it syncs, takes the " +
      "commits of several.",
  };
}
