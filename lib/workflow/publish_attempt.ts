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
  let status: number | null = null;
  try {
    return await within(maxMs, async (signal) => {
      const response = await fetch(url, { method: "POST", headers, body, signal });
      ({ status } = response);
      const answer = await response.text();
      if (status === 202) return { ids: readIds(answer, events.length) };
      // A publish that is led elsewhere often arrives there as a GET.
      const from = response.redirected ? `${response.url}, where ${url} leads,` : url;
      const reason = `${from} answered ${status}${readDetail(answer)}`;
      const afterMs = readRetryAfter(response, now());
      return { status, reason, isPassing: isPassing(status), afterMs };
    });
  } catch (cause) {
    const how = status === null ? "did not answer" : `answered ${status}, but not all of it came`;
    return { status, reason: `${url} ${how}`, isPassing: isPassing(status), afterMs: 0, cause };
  }
}

/** Whether a failure passes. An acceptance is one where its IDs did not arrive. */
function isPassing(status: number | null): boolean {
  return status === null || status === 202 || PASSING.includes(status);
}

/** Does some work, or rejects once it is late, whether the work heeds the signal or not. */
async function within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => {
    controller.abort(new Error(`It took longer than ${ms} ms`));
  }, ms);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  try {
    return await Promise.race([work(signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Throws where the answer is not whole: then the request is as good as unanswered. */
function readIds(answer: string, count: number): string[] {
  const { events } = JSON.parse(answer) as { events: { id: string }[] };
  const ids = events.map(({ id }) => id).filter((id) => typeof id === "string");
  if (ids.length !== count) throw new Error(`Expected ${count} IDs, got ${ids.length}`);
  return ids;
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
