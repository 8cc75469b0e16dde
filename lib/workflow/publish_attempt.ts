/**
 * One attempt of one request.
 *
 * @module
 */

import type { Batch } from "./publish_body.ts";

/** What passes by itself: too many requests, and a service or a proxy that cannot at the moment. */
const PASSING = [429, 502, 503, 504];

/** How a request is made: what is used of the platform's `fetch`. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** A request, the same at every attempt. */
export interface PublishRequest extends Batch {
  /** What makes the attempts one publish. */
  idempotencyKey: string;
}

/** What an attempt works with. */
export interface AttemptOptions {
  /** The token of a publisher, if the service asks for one. */
  token?: string | undefined;
  /** How long it may take, in milliseconds. */
  maxMs: number;
  /** How a request is made. */
  fetch: Fetch;
  /** The time in milliseconds since the Unix epoch. */
  now: () => number;
}

/** An attempt that was answered with the acceptance. */
export interface Accepted {
  /** The event IDs, in order. */
  ids: string[];
}

/** An attempt that was not. */
export interface Refused {
  /** The status of the answer; `null` if there was none. */
  status: number | null;
  /** What happened. */
  reason: string;
  /** Whether it may go well another time. */
  isPassing: boolean;
  /** What `Retry-After` asks to wait, in milliseconds. */
  afterMs: number;
  /** The failure underneath, if there was one. */
  cause?: unknown;
}

/** How an attempt ended. */
export type Outcome = Accepted | Refused;

/**
 * Makes a request once.
 *
 * @param url Where to post.
 * @param request What.
 * @param token The token of a publisher, if the service asks for one.
 * @param maxMs How long it may take, in milliseconds.
 * @param options What it works with.
 * @returns How it ended: it does not throw.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { toBatches } from "./publish_body.ts";
 *
 * const [batch] = toBatches("p_aBcDeF", [{ channel: "names", payload: '"Luke"' }]);
 * const answer = Response.json({ events: [{ id: "AAECAwQFBgc-1" }] }, { status: 202 });
 * const outcome = await tryToPublish(
 *   new URL("http://localhost:8000/ingest"),
 *   { ...batch!, idempotencyKey: "1" },
 *   { maxMs: 1000, fetch: () => Promise.resolve(answer), now: Date.now },
 * );
 * deepEqual(outcome, { ids: ["AAECAwQFBgc-1"] });
 * ```
 */
export async function tryToPublish(
  url: URL,
  { events, body, idempotencyKey }: PublishRequest,
  { token, maxMs, fetch, now }: AttemptOptions,
): Promise<Outcome> {
  const headers = new Headers({
    "Content-Type": "application/json",
    "Idempotency-Key": idempotencyKey,
  });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const signal = AbortSignal.timeout(Math.max(0, maxMs));
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal });
    const answer = await response.text();
    const { status } = response;
    if (status === 202) return { ids: readIds(answer, events.length) };
    const reason = `${url.origin} answered ${status}${readDetail(answer)}`;
    const isPassing = PASSING.includes(status);
    return { status, reason, isPassing, afterMs: readRetryAfter(response, now()) };
  } catch (cause) {
    return {
      status: null,
      reason: `${url.origin} did not answer`,
      isPassing: true,
      afterMs: 0,
      cause,
    };
  }
}

/** Throws where the answer is not whole: then the request is as good as unanswered. */
function readIds(answer: string, count: number): string[] {
  const { events } = JSON.parse(answer) as { events: { id: string }[] };
  if (events.length !== count) throw new Error(`Expected ${count} IDs, got ${events.length}`);
  return events.map(({ id }) => id);
}

/** The detail of a problem document (RFC 9457), where the answer is one. */
function readDetail(answer: string): string {
  try {
    const { detail } = JSON.parse(answer) as { detail?: unknown };
    return typeof detail === "string" ? `: ${detail}` : "";
  } catch {
    // A proxy answers with a page of its own.
    return "";
  }
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
function readRetryAfter({ headers }: Response, now: number): number {
  const value = headers.get("Retry-After") ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return ms > 0 ? ms : 0;
}
