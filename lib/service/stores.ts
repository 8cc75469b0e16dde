/**
 * Opens the stores of a service: the log and the tickets, on one connection.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };
import { KvTicketStore, type TicketStore } from "../access/mod.ts";
import type { Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import {
  assertNotCopied,
  type Kv,
  KvConnection,
  type KvStorage,
  type StoreGuard,
} from "../kv/mod.ts";
import { EventLog, isHead, type Log, rebuildHead } from "../log/mod.ts";
import { createMetrics, type Metrics } from "../telemetry/mod.ts";
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

/** Returns the kind of a store, for people who look at metrics. */
function kindOf(kv: Config["kv"]): string {
  if (kv === undefined) return "platform";
  if (kv === ":memory:") return "memory";
  return /^https?:/.test(kv) ? "server" : "file";
}
