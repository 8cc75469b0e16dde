/**
 * The whole service, put together from its parts.
 *
 * @module
 */

import { Access, Tickets } from "../access/mod.ts";
import { type Runtime, systemRuntime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import { type App, createApp } from "../http/mod.ts";
import { Hub } from "../hub/mod.ts";
import { type Kv, KvConnection, type WatchKv } from "../kv/mod.ts";
import { EventLog, type Log } from "../log/mod.ts";
import { type PipelineChannels, Sync } from "../sync/mod.ts";

/** The time that a log keeps events at least, in milliseconds. */
const RETENTION_MS = 60_000;

/** The bytes that a log keeps at most. */
const RETENTION_BYTES = 32 * 1024 * 1024;

/** What a log is made of. */
export interface LogOptions {
  /** The settings. */
  config: Config;
  /** Opens the store of the log. */
  open: () => Promise<Kv>;
  /** Whether the store is reached over a network, and other processes write to it as well. */
  remote?: boolean;
  /**
   * Parts of the runtime to replace. By default it has the clock of the machine,
   * `Math.random`, and a reporter that writes to standard error.
   */
  runtime?: Partial<Runtime>;
}

/** What a service is made of beside its log. */
export interface ServiceParts extends Omit<LogOptions, "open" | "remote"> {
  /** The way to other isolates, if there are any. */
  channels?: PipelineChannels | null;
  /** Opens the store to watch it, if other processes write to it. */
  watch?: (() => Promise<WatchKv>) | null;
}

/** What a service is made of. */
export interface ServiceOptions extends LogOptions, ServiceParts {}

/** A service that runs. */
export interface Service extends App {
  /** The pipelines. */
  hub: Hub;
  /** The log. */
  log: Log;
  /** The tickets. */
  tickets: Tickets;
  /** Its clock, random numbers and reporter. */
  runtime: Runtime;
}

/**
 * Opens the log and puts the parts together.
 *
 * @param options What the service is made of.
 * @throws Whatever opening the store throws.
 *
 * @example
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
  return createServiceOn(await openLog(options), options);
}

/**
 * Opens the log alone.
 *
 * @param options What the log is made of.
 * @throws Whatever opening the store throws.
 *
 * @example
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 *
 * const log = await openLog({ config: readConfig({}), open: () => Deno.openKv(":memory:") });
 * await log.ping(1000);
 * await log.close();
 * ```
 */
export async function openLog({
  config,
  open,
  remote = false,
  runtime: replaced = {},
}: LogOptions): Promise<EventLog> {
  const runtime = { ...systemRuntime, ...replaced };
  const kv = await KvConnection.open({
    open,
    runtime,
    timeoutMs: config.kvTimeoutMs,
    replace: remote,
  });
  return new EventLog({
    kv,
    shared: remote,
    runtime,
    retention: { events: config.retention, ms: RETENTION_MS, bytes: RETENTION_BYTES },
    timeoutMs: config.kvTimeoutMs,
    maxWaitingBytes: config.maxWaitingBytes,
  });
}

/**
 * Puts the parts together on a log that is there.
 *
 * @param log The log. The service listens to it.
 * @param parts What else the service is made of.
 *
 * @example
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 *
 * const config = readConfig({});
 * const log = await openLog({ config, open: () => Deno.openKv(":memory:") });
 * const service = createServiceOn(log, { config });
 * await service.hub.ready(1000);
 * await log.close();
 * ```
 */
export function createServiceOn(log: Log, {
  config,
  channels = null,
  watch = null,
  runtime: replaced = {},
}: ServiceParts): Service {
  const runtime = { ...systemRuntime, ...replaced };
  const hub = new Hub({
    log,
    sync: new Sync({ log, channels, watch, runtime }),
    runtime,
    history: config.history,
    keepAliveMs: config.keepAliveMs,
    retryMs: config.retryMs,
    maxStreamAgeMs: config.maxStreamAgeMs,
    maxSubscribers: config.maxSubscribers,
    maxPipelineSubscribers: config.maxPipelineSubscribers,
    maxAddressSubscribers: config.maxAddressSubscribers,
    maxPipelines: config.maxPipelines,
    maxTailBytes: config.maxTailBytes,
  });
  const tickets = new Tickets({
    log,
    runtime,
    ticketMs: config.access.ticketMs,
    sessionMs: config.access.sessionMs,
    history: config.history,
    checkMs: config.keepAliveMs,
  });
  const { allowOrigins } = config;
  const access = new Access({ config: config.access, allowOrigins, runtime, tickets });
  return {
    ...createApp({ hub, access, tickets, config, runtime }),
    hub,
    log,
    tickets,
    runtime,
  };
}
