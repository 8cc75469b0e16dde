/**
 * Fan-out to 500 subscribers, as fast as the publishers get their answers, and at rates
 * that leave the server idle most of the time.
 *
 * @module
 */

import type { Column, Goal, Work } from "../work.ts";
import { type Bench, drive, entry, size } from "./bench.ts";

const COLUMNS: readonly Column[] = [
  { value: "deliveriesPerSecond", heading: "deliveries/s" },
  { value: "publishP50", heading: "publish p50, ms", digits: 2 },
  { value: "publishP99", heading: "p99", digits: 1 },
  { value: "deliveryP50", heading: "delivery p50, ms", digits: 1 },
  { value: "deliveryP99", heading: "p99", digits: 1 },
  { value: "eventsPerRead", heading: "events/read", digits: 1 },
  { value: "serverCpu", heading: "server CPU, cores", digits: 2 },
  { value: "loadCpu", heading: "generator CPU", digits: 2 },
];

interface FanOut {
  letter: string;
  /** Title of the table, after the number of subscribers. */
  title: string;
  publishers: number;
  events: number;
  goals: readonly Goal[];
}

/** Row (a), (b) or (c): a closed loop. */
function fanOut(bench: Bench, { letter, title, publishers, events, goals }: FanOut): Work {
  const subscribers = size(bench, 500);
  const options = { subscribers, publishers };
  return {
    letter,
    title: `${subscribers} subscribers, ${title}`,
    columns: COLUMNS,
    goals,
    entries: bench.peers.map((peer) => entry(peer, "", () => drive(bench, peer, options, events))),
  };
}

/** Row (a). */
export const oneAtATime = (bench: Bench): Work =>
  fanOut(bench, {
    letter: "a",
    title: "one event a POST, one publisher that waits for each answer",
    publishers: 1,
    events: 1,
    goals: [
      { value: "deliveriesPerSecond", to: "Runnel at", atLeast: 4 },
      { value: "deliveriesPerSecond", to: "nchan, 1", atLeast: 1.5 },
      { value: "deliveriesPerSecond", to: "Centrifugo", atLeast: 2 },
    ],
  });

/** Row (b). */
export const sixteenPublishers = (bench: Bench): Work =>
  fanOut(bench, {
    letter: "b",
    title: "one event a POST, 16 publishers",
    publishers: 16,
    events: 1,
    goals: [{ value: "deliveriesPerSecond", to: "nchan, 1", atLeast: 3 }],
  });

/** Row (c). */
export const batches = (bench: Bench): Work =>
  fanOut(bench, {
    letter: "c",
    title: "batches of 20 events, one publisher; nchan takes one event a POST",
    publishers: 1,
    events: 20,
    goals: [{ value: "deliveriesPerSecond", to: "nchan, 1", atLeast: 10 }],
  });

/** Subscribers and events a second of the gentle loads. */
const GENTLE = [[10, 200], [500, 50], [500, 100]] as const;

/** Row (d). Latency counts from the time at which an event was to be sent. */
export function gentle(bench: Bench): Work {
  return {
    letter: "d",
    title: "Gentle loads, at a fixed rate",
    columns: [
      { value: "deliveryP50", heading: "delivery p50, ms", digits: 1 },
      { value: "deliveryP99", heading: "p99", digits: 1 },
      { value: "publishP50", heading: "publish p50, ms", digits: 1 },
      { value: "publishP99", heading: "p99", digits: 1 },
      { value: "serverCpu", heading: "server CPU, cores", digits: 2 },
      { value: "loadCpu", heading: "generator CPU", digits: 2 },
    ],
    goals: ["deliveryP50", "deliveryP99"].map((value) => ({
      value,
      to: "Runnel at",
      atMost: 1.2,
    })),
    entries: GENTLE.flatMap(([subscribers, rate]) =>
      bench.peers.map((peer) =>
        entry(
          peer,
          `${subscribers} × ${rate}/s`,
          () => drive(bench, peer, { subscribers: size(bench, subscribers), publishers: 16, rate }),
        )
      )
    ),
  };
}
