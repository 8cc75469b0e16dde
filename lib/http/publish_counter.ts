/**
 * Counts and traces publishes: their outcomes, what they stored, and how long that took.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { Receipt } from "../hub/mod.ts";
import { type PublishOutcome, type PublishTrace, tracePublish } from "../telemetry/mod.ts";
import { isCanaryPipeline, type NewEvent } from "../protocol/mod.ts";
import { type AppContext, type AppOptions, isOfCanary } from "./context.ts";
import { isTransient } from "./problem.ts";
import type { PublishRequest } from "./publish_request.ts";

/** A publish that was answered with the positions of its events. */
export interface Published extends PublishRequest {
  /** The positions. */
  receipt: Receipt;
  /** The response. */
  response: Response;
}

/** Counts the publishes of an isolate, except for those of its canary. */
export class PublishCounter {
  readonly #options: Pick<AppOptions, "metrics" | "canary" | "runtime">;

  constructor(options: Pick<AppOptions, "metrics" | "canary" | "runtime">) {
    this.#options = options;
  }

  /** Returns a handler that counts and traces what another one does. */
  counted(
    handle: (c: AppContext, trace: PublishTrace) => Promise<Published>,
  ): (c: AppContext) => Promise<Response> {
    return async (c) => {
      const { metrics, runtime: { clock } } = this.#options;
      const started = clock.monotonic();
      const trace = tracePublish(c.req.header("traceparent"));
      try {
        const published = await handle(c, trace);
        trace.end();
        if (!isCanaryPipeline(published.pipeline)) {
          this.#count(published);
          metrics.publishDuration.record((clock.monotonic() - started) / 1000);
        }
        return published.response;
      } catch (error) {
        trace.end(error);
        if (!isOfCanary(c.req.raw, this.#options)) metrics.publishes.add(outcomeOf(error));
        throw error;
      }
    };
  }

  #count({ events, receipt: { replayed } }: Published): void {
    const { metrics } = this.#options;
    metrics.publishes.add(replayed ? "duplicate" : "stored");
    if (replayed) return;
    countEvents(events, metrics);
  }
}

/** Counts events that were stored. */
export function countEvents(
  events: readonly NewEvent[],
  metrics: Pick<AppOptions["metrics"], "events" | "payload">,
): void {
  metrics.events.add(events.length);
  for (const { payload } of events) metrics.payload.add(payload.length);
}

/** Returns the outcome of a publish that failed. */
export function outcomeOf(error: unknown): PublishOutcome {
  if (!(error instanceof RunnelError)) return "failed";
  if (error.type === "outcome-unknown") return "unknown";
  // A limit that a client exceeds is no failure of the service, which would wake somebody.
  const isOfClient = error.type === "too-many-requests";
  return isTransient(error) && !isOfClient ? "unavailable" : "rejected";
}
