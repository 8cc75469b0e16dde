/**
 * Readiness: whether an instance takes work, and which part of it fails if it does not.
 *
 * @module
 */

import { describeCause, RunnelError, type Runtime } from "../base/mod.ts";
import type { Hub } from "../hub/mod.ts";
import type { RequestEnv } from "./request_env.ts";

/** Maximum time that the log may take to prove that it accepts events, in milliseconds. */
const READY_TIMEOUT_MS = 1000;

/**
 * Part of an instance that fails.
 *
 * - `draining`: it is about to end
 * - `disk`: the disk of the log is full
 * - `log`: the log does not accept events for another reason
 * - `open-files`: a moment ago it could not accept connections
 */
export type FailingPart = "draining" | "disk" | "log" | "open-files";

/** A part that fails, with the error for clients. */
export interface Failing {
  /** The part. */
  part: FailingPart;
  /** The error. */
  error: RunnelError;
}

/**
 * Tells the operator when an isolate stops to be ready, and when it is ready again: probes
 * ask several times a minute. A drain has messages of its own.
 */
export class ReadinessLog {
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  /** Part that the last probe found to fail, and the time since when none was ready. */
  #unready: { part: FailingPart; since: number } | null = null;

  /** @param runtime Clock of the durations, and reporter. */
  constructor(runtime: Pick<Runtime, "clock" | "report">) {
    this.#runtime = runtime;
  }

  /** Takes note of the result of a probe. */
  probed(failing: Failing | null): void {
    if (failing?.part === "draining") return;
    const { clock, report } = this.#runtime;
    const now = clock.monotonic();
    const unready = this.#unready;
    this.#unready = failing && { part: failing.part, since: unready?.since ?? now };
    if (failing && failing.part !== unready?.part) {
      report(`Not ready: ${failing.part}`, failing.error);
    } else if (!failing && unready) {
      const seconds = Math.round((now - unready.since) / 1000);
      report("Ready again", undefined, { level: "info", fields: { seconds } });
    }
  }
}

/**
 * Returns the part of an instance that fails; `null` if it takes work. A drain is found
 * first, whatever else fails.
 *
 * @param hub Hub whose log is tried.
 * @param env Facts about the request that asks.
 */
export async function findFailingPart(
  hub: Pick<Hub, "ready">,
  env: Pick<RequestEnv, "lacksFiles">,
): Promise<Failing | null> {
  try {
    await hub.ready(READY_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    return explain(error);
  }
  if (!env.lacksFiles) return null;
  const error = new RunnelError(
    "overloaded",
    "Cannot accept all connections: the process has too many open files",
  );
  return { part: "open-files", error };
}

function explain(error: RunnelError): Failing {
  if (error.type === "draining") return { part: "draining", error };
  if (!/disk is full|No space left/i.test(describeCause(error.cause))) {
    return { part: "log", error };
  }
  const full = new RunnelError("log-unavailable", "Cannot store events: the disk is full", {
    cause: error,
  });
  return { part: "disk", error: full };
}
