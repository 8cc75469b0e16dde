/**
 * The publisher: sends events to the service in order, and retries transient
 * failures without storing an event twice. It needs nothing but `fetch`,
 * `crypto` and timers, so it runs in Node, in Deno and in browsers.
 *
 * @module
 */

import type { DeliveredEvent } from "./delivery_error.ts";
import { type Fetch, publishOnce } from "./publish_once.ts";
import type { PublishRequest } from "./publish_request.ts";

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
   * Time limit of the whole delivery, retries included, in milliseconds. Of what is
   * sent while the workflow runs, each group of events has this time.
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
 * Asserts that the options of a delivery are valid.
 *
 * @throws {TypeError} If one is not: otherwise it would fail far from where it was given, or never
 *   give up.
 */
export function assertDelivery(options: DeliveryOptions): void {
  const { maxMs, onRetry, fetch, now, wait, random } = options;
  // Infinity is a number as well, for who never gives up.
  if (maxMs !== undefined && (typeof maxMs !== "number" || !(maxMs >= 0))) {
    throw new TypeError("Cannot send: maxMs: expected a number of milliseconds, 0 or more");
  }
  for (const [name, value] of Object.entries({ onRetry, fetch, now, wait, random })) {
    if (value === undefined || typeof value === "function") continue;
    throw new TypeError(`Cannot send: ${name}: expected a function`);
  }
}

/** Result of publishing requests. */
export interface Delivery {
  /** Events that the service accepted, in order. */
  delivered: DeliveredEvent[];
  /** Failure of a request; `null` if all were accepted. */
  failure: DeliveryFailure | null;
}

/** Permanent failure of a request. */
export interface DeliveryFailure {
  /** Description of the failure, without a period. */
  reason: string;
  /** The request that failed, and those after it, which were not sent. */
  unsent: PublishRequest[];
  /** HTTP status of the last answer; `null` if there was none. */
  status: number | null;
  /** The error underneath, if there was one. */
  cause?: unknown;
}

/**
 * Publishes requests in order, one at a time.
 *
 * A transient failure (a network error, 429, 502, 503 or 504) is retried with
 * the same idempotency key, after the time that `Retry-After` asks for and an
 * exponential back-off with jitter. If a request fails permanently, or time is up,
 * the requests after it are not sent.
 *
 * @param url URL to post each request to.
 * @param token Token of a publisher, if the service asks for one.
 * @returns The events with their IDs, in order, once they are durable.
 *
 * @example Retry an unavailable service
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { toRequests } from "./publish_request.ts";
 *
 * const answers = [
 *   new Response(null, { status: 503 }),
 *   Response.json({ events: [{ id: "AAECAwQFBgc-1" }] }, { status: 202 }),
 * ];
 * const { delivered } = await publish(
 *   new URL("http://localhost:8000/ingest"),
 *   toRequests("p_aBcDeF", [{ channel: "names", payload: '"Luke"' }]),
 *   undefined,
 *   { fetch: () => Promise.resolve(answers.shift()!), wait: () => Promise.resolve() },
 * );
 * deepEqual(delivered, [{ channel: "names", id: "AAECAwQFBgc-1" }]);
 * ```
 */
export async function publish(
  url: URL,
  requests: readonly PublishRequest[],
  token: string | undefined,
  options: DeliveryOptions,
): Promise<Delivery> {
  const { maxMs = 60_000, fetch = globalThis.fetch, now = Date.now } = options;
  const elapsed = options.now ?? (() => performance.now());
  const { wait = delay, random = Math.random } = options;
  const until = elapsed() + maxMs;
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
      const { isTransient, retryAfterMs, ...failure } = outcome;
      const backOff = Math.min(FIRST_BACK_OFF_MS * 2 ** (attempt - 1), MAX_BACK_OFF_MS);
      const pauseMs = retryAfterMs + backOff * (0.5 + random() / 2);
      if (!isTransient || elapsed() + pauseMs >= until) {
        const end = isTransient ? `. Gave up at attempt ${attempt}` : "";
        const reason = `${failure.reason}${end}`;
        const unsent = requests.slice(index);
        return { delivered, failure: { ...failure, reason, unsent } };
      }
      options.onRetry?.(outcome.reason);
      await wait(pauseMs);
    }
  }
  return { delivered, failure: null };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
