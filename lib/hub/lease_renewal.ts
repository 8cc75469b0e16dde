/**
 * Renews the leases of pipelines, by which all processes of a store see that these are in use
 * even if nobody writes to them.
 *
 * @module
 */

import { chunk, type Runtime } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";

/** Minimum interval between two looks at the leases of the pipelines, in milliseconds. */
const LEASES_MS = 5 * 60 * 1000;

/** Number of pipelines whose leases are renewed with one call of the log. */
const LEASES_SIZE = 100;

/** Options for {@linkcode LeaseRenewal}. */
export interface LeaseRenewalOptions {
  /** The log of the pipelines. */
  log: Pick<Log, "renewLeases">;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
}

/** Renewal of the leases of the live pipelines of an isolate. */
export class LeaseRenewal {
  readonly #options: LeaseRenewalOptions;
  readonly #pipelines: () => Iterable<string>;
  /** Time at which the leases were last renewed, in milliseconds of the monotonic clock. */
  #renewedAt = -Infinity;

  /** @param pipelines Returns the IDs of the live pipelines. */
  constructor(options: LeaseRenewalOptions, pipelines: () => Iterable<string>) {
    this.#options = options;
    this.#pipelines = pipelines;
  }

  /** Renews the leases. To be called now and then; most calls do nothing. */
  async renew(): Promise<void> {
    const { log, runtime } = this.#options;
    const now = runtime.clock.monotonic();
    if (now - this.#renewedAt < LEASES_MS) return;
    this.#renewedAt = now;
    try {
      for (const pipelines of chunk([...this.#pipelines()], LEASES_SIZE)) {
        await log.renewLeases(pipelines);
      }
    } catch (error) {
      runtime.report("Cannot renew the leases of pipelines", error);
    }
  }
}
