/**
 * Brings what a workflow sent to the service: in order, each event once, and
 * with patience.
 *
 * @module
 */

import type { CapturedEvent } from "./captured_event.ts";
import { type DeliveredEvent, DeliveryError, type UnsentRequest } from "./delivery_error.ts";
import { type Destination, ingestUrl } from "./destination.ts";
import { type Fetch, type Outcome, type PublishRequest, tryToPublish } from "./publish_attempt.ts";
import { toBatches } from "./publish_body.ts";

/** How long one request may take, in milliseconds: longer than the service waits for its log. */
const ATTEMPT_MS = 15_000;

/** How long the first pause between two attempts is; each later one is twice as long … */
const FIRST_PAUSE_MS = 200;

/** … up to this, in milliseconds. */
const MAX_PAUSE_MS = 10_000;

/** What a delivery works with; what is not set is the platform's. */
export interface DeliveryOptions {
  /** How long all of it may take, retries included, in milliseconds: a minute if it is not set. */
  maxMs?: number;
  /** Hears of each attempt that failed and is followed by another. */
  onRetry?: (reason: string) => void;
  /** How a request is made. */
  fetch?: Fetch;
  /** The time in milliseconds. */
  now?: () => number;
  /** Waits, in milliseconds. */
  wait?: (ms: number) => Promise<void>;
  /** A number from 0 up to 1, for jitter. */
  random?: () => number;
}

/**
 * Delivers events in order, in as few requests as the limits allow. A request
 * that meets a failure which passes is repeated with the same idempotency key:
 * a network error, 429, 502, 503 or 504, after what `Retry-After` says and an
 * exponential back-off with jitter.
 *
 * @param destination Where to.
 * @param events The events, in order.
 * @param options What it works with.
 * @returns The events with their IDs, in order.
 * @throws {DeliveryError} If a request was refused for good, or time is over.
 *   What follows it was not sent.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * const answers = [
 *   new Response(null, { status: 503 }),
 *   Response.json({ events: [{ id: "AAECAwQFBgc-1" }] }, { status: 202 }),
 * ];
 * const delivered = await deliver(
 *   { pipeline: "p_aBcDeF" },
 *   [{ channel: "names", payload: '"Luke"' }],
 *   { fetch: () => Promise.resolve(answers.shift()!), wait: () => Promise.resolve() },
 * );
 * deepEqual(delivered, [{ channel: "names", id: "AAECAwQFBgc-1" }]);
 * ```
 */
export async function deliver(
  destination: Destination,
  events: readonly CapturedEvent[],
  options: DeliveryOptions = {},
): Promise<DeliveredEvent[]> {
  const { maxMs = 60_000, now = Date.now } = options;
  const until = now() + maxMs;
  const requests = toBatches(destination.pipeline, events)
    .map((batch): PublishRequest => ({ ...batch, idempotencyKey: makeKey() }));
  const delivered: DeliveredEvent[] = [];
  for (const [index, request] of requests.entries()) {
    const outcome = await publish(destination, request, until, options);
    if (!("ids" in outcome)) {
      const { status, reason, cause } = outcome;
      const unsent = requests.slice(index).map(toUnsent);
      const count = unsent.reduce((sum, { events }) => sum + events.length, 0);
      throw new DeliveryError(
        `Cannot deliver ${count} of ${events.length} events: ${reason}`,
        { delivered, unsent, status },
        cause === undefined ? {} : { cause },
      );
    }
    request.events.forEach(({ channel }, at) => delivered.push({ channel, id: outcome.ids[at]! }));
  }
  return delivered;
}

/** Not `randomUUID`, which pages have over https alone. */
function makeKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function toUnsent({ events, idempotencyKey }: PublishRequest): UnsentRequest {
  const asSent = events.map(({ channel, payload }) => ({ channel, payload: JSON.parse(payload) }));
  return { events: asSent, idempotencyKey };
}

async function publish(
  destination: Destination,
  request: PublishRequest,
  until: number,
  options: DeliveryOptions,
): Promise<Outcome> {
  const { fetch = globalThis.fetch, now = Date.now, wait = pause, random = Math.random } = options;
  const url = ingestUrl(destination);
  const { token } = destination;
  for (let attempt = 1;; attempt++) {
    const maxMs = Math.min(until - now(), ATTEMPT_MS);
    const outcome = await tryToPublish(url, request, { token, maxMs, fetch, now });
    if ("ids" in outcome || !outcome.isPassing) return outcome;
    const backOff = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), MAX_PAUSE_MS);
    const ms = outcome.afterMs + backOff * (0.5 + random() / 2);
    if (now() + ms >= until) {
      return { ...outcome, reason: `${outcome.reason}. Gave up at attempt ${attempt}` };
    }
    options.onRetry?.(outcome.reason);
    await wait(ms);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
