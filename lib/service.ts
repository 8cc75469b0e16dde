/**
 * The whole service, put together from its parts.
 *
 * @module
 */

import { createApp, type RequestInfo } from "./app.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config.ts";
import { EventLog } from "./event_log.ts";
import { Hub } from "./hub.ts";
import { HeadWatches, type WatchKv } from "./head_watch.ts";
import { type Kv, KvConnection } from "./kv_connection.ts";
import type { PipelineChannels } from "./pipeline_channel.ts";
import { createReport, type Report } from "./report.ts";

/** The time that a log keeps events at least, in milliseconds. */
const RETENTION_MS = 60_000;

/** The bytes that a log keeps at most. */
const RETENTION_BYTES = 32 * 1024 * 1024;

/** After how long each live pipeline is compared with a log that others write to, in milliseconds. */
const RECONCILE_MS = 60_000;

/** What a service is made of. */
export interface ServiceOptions {
  /** The settings. */
  config: Config;
  /** Opens the store of the log. */
  open: () => Promise<Kv>;
  /**
   * Opens the store to watch it: for a store that is reached over a network, and
   * that other processes write to as well.
   */
  watch?: (() => Promise<WatchKv>) | null;
  /** The way to other isolates, if there are any. */
  channels?: PipelineChannels | null;
  /** Whose time it is: the machine's by default. */
  clock?: Clock;
  /** A number from 0 up to 1, for jitter: `Math.random` by default. */
  random?: () => number;
  /** Hears of trouble that clients are told nothing of: standard error by default. */
  report?: Report;
}

/** A service that runs. */
export interface Service {
  /** Answers a request. */
  fetch: (request: Request, info?: RequestInfo) => Promise<Response>;
  /** The pipelines. */
  hub: Hub;
  /** The log. */
  log: EventLog;
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
 * import { readConfig } from "./config.ts";
 *
 * const service = await createService({
 *   config: readConfig({}),
 *   open: () => Deno.openKv(":memory:"),
 * });
 * const response = await service.fetch(new Request("http://localhost/healthz"));
 * equal(await response.text(), "ok\n");
 * await service.hub.drain(0);
 * await service.log.close();
 * ```
 */
export async function createService({
  config,
  open,
  watch = null,
  channels = null,
  clock = systemClock,
  random = Math.random,
  report = createReport(clock, console.error),
}: ServiceOptions): Promise<Service> {
  const kv = await KvConnection.open({
    open,
    clock,
    timeoutMs: config.kvTimeoutMs,
    replace: watch !== null,
  });
  const log = new EventLog({
    kv,
    shared: watch !== null,
    clock,
    random,
    report,
    retention: { events: config.retention, ms: RETENTION_MS, bytes: RETENTION_BYTES },
    timeoutMs: config.kvTimeoutMs,
    maxWaitingBytes: config.maxWaitingBytes,
  });
  const hub = new Hub({
    log,
    channels,
    watches: watch && new HeadWatches({ open: watch, clock, random, report }),
    reconcileMs: watch && RECONCILE_MS,
    clock,
    random,
    report,
    history: config.history,
    keepAliveMs: config.keepAliveMs,
    retryMs: config.retryMs,
    maxStreamAgeMs: config.maxStreamAgeMs,
    maxSubscribers: config.maxSubscribers,
    maxTailBytes: config.maxTailBytes,
  });
  return { fetch: createApp({ hub, config, report }), hub, log };
}
