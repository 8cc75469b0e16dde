/**
 * Composition of the service from its parts.
 *
 * @module
 */

import { Access, type CanaryIdentity, RateLimiter, Tickets, TokenVerifier } from "../access/mod.ts";
import type { Runtime } from "../base/mod.ts";
import { type App, createApp } from "../http/mod.ts";
import { Hub } from "../hub/mod.ts";
import type { WatchKv } from "../kv/mod.ts";
import type { Log } from "../log/mod.ts";
import { type Metrics, type Snapshot, takeSnapshot } from "../telemetry/mod.ts";
import { type PipelineChannels, Sync } from "../sync/mod.ts";
import { observe } from "./observed.ts";
import { createRuntimeOf } from "./runtime.ts";
import { openStores, type Stores, type StoresOptions } from "./stores.ts";

/** Options for {@linkcode createServiceOn}. */
export interface ServiceParts extends Pick<StoresOptions, "config" | "runtime"> {
  /** Broadcasts to other isolates, if there are any. @default {null} */
  channels?: PipelineChannels | null;
  /** Opens the store to watch it, if other processes write to it. @default {null} */
  watch?: (() => Promise<WatchKv>) | null;
  /**
   * Reads the metrics of all isolates of the instance. By default, this is the only one.
   */
  gather?: () => Promise<Snapshot>;
  /** Identity of the instance's own canary. @default {null} */
  canary?: CanaryIdentity | null;
}

/** Options for {@linkcode createService}. */
export interface ServiceOptions extends StoresOptions, ServiceParts {}

/** A service in this isolate. */
export interface Service extends App {
  /** Hub of its publishers and subscribers. */
  hub: Hub;
  /** The log. */
  log: Log;
  /** The tickets. */
  tickets: Tickets;
  /** Its clock, random numbers and reporter. */
  runtime: Runtime;
  /** Its metrics. */
  metrics: Metrics;
}

/**
 * Creates a service on a store that it opens.
 *
 * @param options The settings, the store, and the ways to other isolates and processes.
 * @throws The error of opening the store.
 *
 * @example Usage
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { readConfig } from "../config/mod.ts";
 *
 * const service = await createService({
 *   config: readConfig({}),
 *   open: () => Deno.openKv(":memory:"),
 * });
 * const response = await service.fetch(new Request("http://localhost/healthz"));
 * equal(await response.text(), "ok\n");
 * await service.hub.stopPublishing(0);
 * await service.hub.close();
 * await service.log.close();
 * ```
 */
export async function createService(options: ServiceOptions): Promise<Service> {
  // One reporter, which counts what repeats.
  const runtime = { ...createRuntimeOf(options.config), ...options.runtime };
  return createServiceOn(await openStores({ ...options, runtime }), { ...options, runtime });
}

/**
 * Creates a service on stores that are open.
 *
 * @param stores The log, to which the service listens, and the tickets.
 * @param parts The settings, and the ways to other isolates and processes.
 * @throws {Error} If the log has a listener already.
 *
 * @example Usage
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 * import { openStores } from "./stores.ts";
 *
 * const config = readConfig({});
 * const stores = await openStores({ config, open: () => Deno.openKv(":memory:") });
 * const service = createServiceOn(stores, { config });
 * await service.hub.ready(1000);
 * await service.log.close();
 * ```
 */
export function createServiceOn({ log, tickets: store, metrics }: Stores, {
  config,
  channels = null,
  watch = null,
  gather = () => Promise.resolve(takeSnapshot(metrics)),
  canary = null,
  runtime: replaced = {},
}: ServiceParts): Service {
  const runtime = { ...createRuntimeOf(config), ...replaced };
  const sync = new Sync({ log, channels, watch, runtime });
  const hub = new Hub({
    log,
    sync,
    runtime,
    metrics,
    history: config.history,
    keepAliveMs: config.keepAliveMs,
    retryMs: config.retryMs,
    maxStreamAgeMs: config.maxStreamAgeMs,
    maxSubscribers: config.maxSubscribers,
    maxPipelineSubscribers: config.maxPipelineSubscribers,
    maxAddressSubscribers: config.maxAddressSubscribers,
    maxHistories: config.maxHistories,
    maxAddressHistories: config.maxAddressHistories,
    maxAppends: config.maxAppends,
    maxClientAppends: config.maxClientAppends,
    maxPipelines: config.maxPipelines,
    maxTailBytes: config.maxTailBytes,
  });
  const verifier = new TokenVerifier(config.access, runtime, canary);
  const tickets = new Tickets({
    log,
    store,
    credentials: verifier,
    runtime,
    ticketMs: config.access.ticketMs,
    sessionMs: config.access.sessionMs,
    checkMs: config.keepAliveMs,
  });
  const { allowOrigins, publishRate } = config;
  const invalidTokens = new RateLimiter(
    publishRate,
    runtime,
    `Cannot authenticate: more than ${publishRate} invalid tokens in a second. Wait`,
  );
  const access = new Access({
    config: config.access,
    allowOrigins,
    verifier,
    invalidTokens,
    tickets,
  });
  const app = createApp({ hub, access, tickets, config, runtime, metrics, gather, canary });
  observe(metrics, { hub, log, sync, bodies: app.bodies, runtime });
  return { ...app, hub, log, tickets, runtime, metrics };
}
