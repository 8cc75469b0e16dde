/**
 * The figures that parts of the service count by themselves, as metrics.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { App } from "../http/mod.ts";
import type { Hub } from "../hub/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Sync } from "../sync/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";

/** Parts that are observed. */
export interface ObservedParts extends Pick<App, "bodies"> {
  /** The hub. */
  hub: Hub;
  /** The log. */
  log: Pick<Log, "pending">;
  /** Messages between isolates and processes. */
  sync: Pick<Sync, "stats">;
  /** Clock for the duration of a drain. */
  runtime: Pick<Runtime, "clock">;
}

/** Lets metrics read the figures of a service. */
export function observe(
  metrics: Metrics,
  { hub, log, sync, bodies, runtime }: ObservedParts,
): void {
  const { clock } = runtime;
  metrics.subscribers.observe(() => hub.stats.subscribers - hub.canaries.subscribers);
  metrics.pipelines.observe(() => hub.stats.pipelines - hub.canaries.pipelines);
  metrics.places.observe(() => hub.stats.places);
  metrics.histories.observe(() => hub.stats.histories);
  metrics.publishing.observe(() => hub.stats.publishing);
  metrics.appends.observe(() => hub.stats.appends);
  metrics.tailBytes.observe(() => hub.stats.tailBytes - hub.canaries.tailBytes);
  metrics.repairs.observe(() => hub.repairs);
  metrics.broadcastFailures.observe(() => sync.stats.broadcastFailures);
  metrics.watchesLost.observe(() => sync.stats.watchesLost);
  metrics.behind.observe(() => Math.max(0, ...hub.behind.values()));
  metrics.waitingBytes.observe(() => log.pending.waitingBytes);
  metrics.bodyBytes.observe(() => bodies.bytes);
  let since: number | null = null;
  hub.draining.addEventListener("abort", () => since = clock.monotonic(), { once: true });
  metrics.drainTime.observe(() => since === null ? 0 : (clock.monotonic() - since) / 1000);
}
