/**
 * Composition of the service from its parts.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };
import {
  Access,
  type CanaryIdentity,
  KvTicketStore,
  RateLimiter,
  Tickets,
  type TicketStore,
  TokenVerifier,
} from "../access/mod.ts";
import type { Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import { type App, createApp } from "../http/mod.ts";
import { Hub } from "../hub/mod.ts";
import {
  assertNotCopied,
  type Kv,
  KvConnection,
  type KvStorage,
  type StoreGuard,
  type WatchKv,
} from "../kv/mod.ts";
import { EventLog, isHead, type Log, rebuildHead } from "../log/mod.ts";
import { createMetrics, type Metrics, type Snapshot, takeSnapshot } from "../telemetry/mod.ts";
import { type PipelineChannels, Sync } from "../sync/mod.ts";
import { observe } from "./observed.ts";
import { createRuntimeOf } from "./runtime.ts";

/** Minimum time that a log retains events, in milliseconds. */
const RETENTION_MS = 60_000;

/** Maximum size of the events that a log retains, in bytes. */
const RETENTION_BYTES = 32 * 1024 * 1024;

const DAY_MS = 24 * 60 * 60 * 1000;

/** The log and the tickets, which share a connection to one store. */
export interface Stores {
  /** Log of the events. Closing it closes the connection. */
  log: Log;
  /** Store of the tickets. */
  tickets: TicketStore;
  /** Metrics of the isolate that uses them. */
  metrics: Metrics;
}

/** Options for {@linkcode openStores}. */
export interface StoresOptions {
  /** The settings. */
  config: Config;
  /** Opens the store. */
  open: () => Promise<Kv>;
  /**
   * Whether the store is reached over a network, and other processes write to it
   * as well.
   *
   * @default {false}
   */
  remote?: boolean;
  /**
   * Whether to delete pipelines that have expired, and to finish deletions that
   * were begun. Any number of processes of a store may do so.
   *
   * @default {false}
   */
  upkeep?: boolean;
  /**
   * Starts to check that the store is still the one that was opened.
   *
   * @default {null}
   */
  guard?: ((runtime: Runtime) => Promise<StoreGuard>) | null;
  /**
   * Searches damaged records of a file, as {@linkcode KvStorage.findInvalid} does.
   *
   * @default {null}
   */
  findInvalid?: KvStorage["findInvalid"];
  /**
   * Removes deleted bytes from a file, as {@linkcode KvStorage.erase} does.
   *
   * @default {null}
   */
  erase?: KvStorage["erase"];
  /**
   * Keeps room for deletions on a disk, as {@linkcode KvStorage.reserve} does.
   *
   * @default {null}
   */
  reserve?: KvStorage["reserve"];
  /**
   * Returns the size of a file, as {@linkcode KvStorage.size} does.
   *
   * @default {null}
   */
  size?: KvStorage["size"];
  /** Metrics of this isolate. By default, new ones. */
  metrics?: Metrics;
  /**
   * Parts of the runtime to replace. By default, it has the clock of the system,
   * `Math.random`, and a reporter that writes as the settings say.
   */
  runtime?: Partial<Runtime>;
}

/** Options for {@linkcode createServiceOn}. */
export interface ServiceParts extends
  Omit<
    StoresOptions,
    | "open"
    | "remote"
    | "upkeep"
    | "guard"
    | "findInvalid"
    | "erase"
    | "reserve"
    | "size"
    | "metrics"
  > {
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
 * Opens the log and the tickets, without a service on them.
 *
 * @param options The settings and the store.
 * @throws The error of opening the store.
 *
 * @example Usage
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 *
 * const { log } = await openStores({ config: readConfig({}), open: () => Deno.openKv(":memory:") });
 * await log.ping(1000);
 * await log.close();
 * ```
 */
export async function openStores({
  config,
  open,
  remote = false,
  upkeep = false,
  guard = null,
  findInvalid = null,
  erase = null,
  reserve = null,
  size = null,
  metrics = createMetrics(),
  runtime: replaced = {},
}: StoresOptions): Promise<Stores> {
  const runtime = { ...createRuntimeOf(config), ...replaced };
  const damaged = await findInvalid?.("head", isHead) ?? [];
  const kv = await KvConnection.open({
    open,
    runtime,
    timeoutMs: config.kvTimeoutMs,
    remote,
    guard: guard && (() => guard(runtime)),
    onTimeout: () => metrics.storeTimeouts.add(),
  });
  try {
    await assertNotCopied(kv);
  } catch (error) {
    kv.close();
    throw error;
  }
  for (const pipeline of damaged) {
    runtime.report(
      "The head of a pipeline is damaged: it is rebuilt, under a new epoch",
      undefined,
      {
        fields: { pipeline },
      },
    );
    await rebuildHead(kv, pipeline, runtime.clock.now());
  }
  const log = new EventLog({
    kv,
    erase,
    reserve: await reserve?.(runtime),
    shared: remote,
    runtime,
    metrics,
    retention: { events: config.retention, ms: RETENTION_MS, bytes: RETENTION_BYTES },
    maxKeys: config.maxIdempotencyKeys,
    timeoutMs: config.kvTimeoutMs,
    maxWaitingBytes: config.maxWaitingBytes,
    upkeep: upkeep ? { expireMs: (config.pipelineDays || Infinity) * DAY_MS } : undefined,
  });
  metrics.info.set(manifest.version, Deno.version.deno, kindOf(config.kv));
  if (size) metrics.fileBytes.observe(size);
  metrics.storeOutage.observe(() => kv.outageMs / 1000);
  metrics.sweeps.observe(() => log.pending.sweeps);
  return { log, tickets: new KvTicketStore(kv), metrics };
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

/** Returns the kind of a store, for people who look at metrics. */
function kindOf(kv: Config["kv"]): string {
  if (kv === undefined) return "platform";
  if (kv === ":memory:") return "memory";
  return /^https?:/.test(kv) ? "server" : "file";
}
