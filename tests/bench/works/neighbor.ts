/**
 * Latency of a gentle pipeline beside a saturated one.
 *
 * @module
 */

import type { LoadOptions } from "../load.ts";
import type { Peer } from "../peers/mod.ts";
import type { Sample } from "../statistics.ts";
import type { Work } from "../work.ts";
import { type Bench, entry, requestOptions, size } from "./bench.ts";

/** Pipeline of the gentle load; the others are called by their numbers. */
const PIPELINE = "p_gentle";

/** Time for which the saturated load begins earlier and ends later, in seconds. */
const MARGIN_S = 1;

/** Options for another pipeline than the numbered ones. */
function rename(options: LoadOptions): LoadOptions {
  const entries = Object.entries(options);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, `${value}`.replaceAll("{pipeline}", PIPELINE)]),
  );
}

/** Measures the gentle load, alone or beside the saturated one. */
async function run(bench: Bench, peer: Peer, isBeside: boolean): Promise<Sample> {
  await using server = await peer.start();
  const common = {
    ports: server.ports.join(","),
    pids: (await server.pids()).join(","),
    ...requestOptions(peer.wire, 1),
  };
  const seconds = bench.seconds + 2 * MARGIN_S;
  const saturated = isBeside
    ? bench.load.run("drive", {
      ...common,
      seconds,
      subscribers: size(bench, 500),
      publishers: 16,
      warmup: 0.5,
    })
    : null;
  const gentle = { subscribers: 10, publishers: 4, rate: 50, seconds: bench.seconds };
  const [sample, other] = await Promise.all([
    bench.load.run("drive", { ...rename(common), ...gentle, warmup: 0.5 + MARGIN_S }),
    saturated,
  ]);
  return { ...sample, saturated: other?.["deliveriesPerSecond"] ?? 0 };
}

/** Row (j). */
export function neighbor(bench: Bench): Work {
  const alone = "alone";
  // The trivial server gives all events to all subscribers.
  const peers = bench.peers.filter(({ word }) => word !== "ceiling");
  return {
    letter: "j",
    title: "A gentle pipeline (10 subscribers, 50 events a second) beside a saturated one " +
      `(${size(bench, 500)} subscribers, 16 publishers)`,
    columns: [
      { value: "deliveryP99", heading: "delivery p99, ms", digits: 1 },
      { value: "deliveryP50", heading: "p50", digits: 1 },
      { value: "publishP99", heading: "publish p99, ms", digits: 1 },
      { value: "publishP50", heading: "p50", digits: 1 },
      { value: "saturated", heading: "deliveries/s of the other" },
    ],
    goals: [{ value: "deliveryP99", to: alone, group: "Runnel", atMost: 3 }],
    entries: peers.flatMap((peer) => [
      { ...entry(peer, peer.name, () => run(bench, peer, true)), name: "beside" },
      { ...entry(peer, peer.name, () => run(bench, peer, false)), name: alone },
    ]),
  };
}
