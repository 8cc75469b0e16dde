/**
 * The publisher: sends events to the service in order, and retries transient
 * failures without storing an event twice. It needs nothing but `fetch`,
 * `crypto` and timers, so it runs in Node, in Deno and in browsers.
 *
 * @module
 */

import { type DeliveredEvent, DeliveryError } from "./delivery_error.ts";
import { type Destination, endUrl, ingestUrl } from "./destination.ts";
import { type Fetch, publishOnce } from "./publish_once.ts";
import { toEndRequest, toRequests, toUnsent } from "./publish_request.ts";
import type { SerializedEvent } from "./serialized_event.ts";

/** Time limit of one attempt, in milliseconds: longer than the service waits for its log. */
const ATTEMPT_MS = 15_000;

/** Longest back-off after a first attempt, in milliseconds. It doubles with each attempt … */
const FIRST_BACK_OFF_MS = 200;

/** … up to this, in milliseconds. */
const MAX_BACK_OFF_MS = 10_000;

/**
 * Options for the delivery of events. All of them are optional.
 *
 * @example Stop after ten seconds, and log each retry
 * ```ts
 * import type { DeliveryOptions } from "@runnel/workflow";
 *
 * const delivery: DeliveryOptions = {
 *   maxMs: 10_000,
 *   onRetry: (reason) => console.error(`${reason}. Trying again`),
 * };
 * ```
 */
export interface DeliveryOptions {
  /**
   * Time limit of the whole delivery, retries included, in milliseconds.
   *
   * @default {60000}
   */
  maxMs?: number;
  /** Called when an attempt has failed and another follows, with the reason of the failure. */
  onRetry?: (reason: string) => void;
  /**
   * Function that makes a request.
   *
   * @default {globalThis.fetch}
   */
  fetch?: Fetch;
  /**
   * Clock: returns the time in milliseconds since the Unix epoch. By default it is
   * `Date.now`, and `maxMs` goes by a clock that nobody sets.
   */
  now?: () => number;
  /** Pause between two attempts, in milliseconds. By default it is a timer of the platform. */
  wait?: (ms: number) => Promise<void>;
  /**
   * Source of jitter: returns a number from 0 up to 1.
   *
   * @default {Math.random}
   */
  random?: () => number;
}

/**
 * Publishes events in order, in as few requests as the limits allow, one request
 * at a time.
 *
 * A transient failure (a network error, 429, 502, 503 or 504) is retried with
 * the same idempotency key, after the time that `Retry-After` asks for and an
 * exponential back-off with jitter.
 *
 * @param events The events; `null` to end the run of the pipeline instead.
 * @returns The events with their IDs, in order, once they are durable.
 * @throws {TypeError} If the destination is invalid.
 * @throws {DeliveryError} If a request fails permanently, or time is up. The
 *   requests after it are not sent.
 *
 * @example Retry an unavailable service
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * const answers = [
 *   new Response(null, { status: 503 }),
 *   Response.json({ events: [{ id: "AAECAwQFBgc-1" }] }, { status: 202 }),
 * ];
 * const delivered = await publish(
 *   { pipeline: "p_aBcDeF" },
 *   [{ channel: "names", payload: '"Luke"' }],
 *   { fetch: () => Promise.resolve(answers.shift()!), wait: () => Promise.resolve() },
 * );
 * deepEqual(delivered, [{ channel: "names", id: "AAECAwQFBgc-1" }]);
 * ```
 */
export async function publish(
  destination: Destination,
  events: readonly SerializedEvent[] | null,
  options: DeliveryOptions = {},
): Promise<DeliveredEvent[]> {
  const { maxMs = 60_000, fetch = globalThis.fetch, now = Date.now } = options;
  const elapsed = options.now ?? (() => performance.now());
  const { wait = delay, random = Math.random } = options;
  const { token } = destination;
  const url = events ? ingestUrl(destination) : endUrl(destination);
  const until = elapsed() + maxMs;
  const requests = events ? toRequests(destination.pipeline, events) : [toEndRequest()];
  const delivered: DeliveredEvent[] = [];
  for (const [index, request] of requests.entries()) {
    for (let attempt = 1;; attempt++) {
      const attemptMs = Math.min(until - elapsed(), ATTEMPT_MS);
      const outcome = await publishOnce(url, request, { token, maxMs: attemptMs, fetch, now });
      if ("ids" in outcome) {
        const { ids } = outcome;
        delivered.push(...request.events.map(({ channel }, at) => ({ channel, id: ids[at]! })));
        break;
      }
      const { status, isTransient, retryAfterMs, cause } = outcome;
      const backOff = Math.min(FIRST_BACK_OFF_MS * 2 ** (attempt - 1), MAX_BACK_OFF_MS);
      const pauseMs = retryAfterMs + backOff * (0.5 + random() / 2);
      if (!isTransient || elapsed() + pauseMs >= until) {
        const unsent = events ? requests.slice(index).map(toUnsent) : [];
        const count = unsent.reduce((sum, { events }) => sum + events.length, 0);
        const what = events ? `deliver ${count} of ${events.length} events` : "end the run";
        const end = isTransient ? `. Gave up at attempt ${attempt}` : "";
        throw new DeliveryError(
          `Cannot ${what}: ${outcome.reason}${end}`,
          { delivered, unsent, status },
          cause === undefined ? {} : { cause },
        );
      }
      options.onRetry?.(outcome.reason);
      await wait(pauseMs);
    }
  }
  return delivered;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
