/**
 * Options of the log.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { DiskReserve, KvConnection } from "../kv/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import type { EraserOptions } from "./eraser.ts";
import type { ExpiryOptions } from "./expiry.ts";
import type { Retention } from "./head.ts";
import type { AppendPart } from "./idempotency.ts";
import type { LogWritersOptions } from "./log_writers.ts";

/** Options for {@linkcode EventLog}. */
export interface EventLogOptions {
  /** The store. */
  kv: KvConnection;
  /**
   * Removes deleted bytes from the file of the store, as {@linkcode EraserOptions.erase}
   * does; by default, they are left there.
   */
  erase?: EraserOptions["erase"] | null;
  /** Whether other isolates or processes write to the store, too. */
  shared: boolean;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** Counts commits and operations of the store. */
  metrics: Pick<Metrics, "groupSize" | "commitRetries" | "operationSize">;
  /** Retention of each pipeline. */
  retention: Retention;
  /** Maximum number of idempotency keys of the last 24 hours in each pipeline. */
  maxKeys: number;
  /** Deadline of a publish, in milliseconds. */
  timeoutMs: number;
  /** Maximum memory of waiting requests in all pipelines together, in bytes. */
  maxWaitingBytes: number;
  /** Number of idle writers, as {@linkcode LogWritersOptions.maxIdleWriters}. */
  maxIdleWriters?: LogWritersOptions["maxIdleWriters"];
  /** Room on the disk of the store for deletions. */
  reserve?: Pick<DiskReserve, "release" | "assertRoom" | typeof Symbol.dispose> | undefined;
  /**
   * Age at which this process deletes pipelines without subscribers, `Infinity` for
   * never, in milliseconds. It also finishes deletions that were begun. By default,
   * it does neither.
   */
  upkeep?: Pick<ExpiryOptions, "expireMs"> | undefined;
}

/** Options for {@linkcode EventLog.append}. */
export interface PublishOptions {
  /** Whether the run ends after the events, of which there may be none then. */
  end?: boolean | undefined;
  /** Idempotency key, if the publisher sent one. */
  key?: string | undefined;
  /** Publisher that the key belongs to, as {@linkcode hashIdempotency} takes it. */
  publisher?: string | undefined;
  /** Streaming append with that key, if the events are a part of one. */
  part?: AppendPart | undefined;
}
