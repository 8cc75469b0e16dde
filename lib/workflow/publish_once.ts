/**
 * One attempt to publish one request.
 *
 * @module
 */

import type { PublishRequest } from "./publish_request.ts";

/** Statuses of a rate limit, and of a service or a proxy that is unavailable for a moment. */
const TRANSIENT_STATUSES = [429, 502, 503, 504];

/** Maximum length of a server's text in a reason, in UTF-16 code units. */
const MAX_TEXT = 1000;

/**
 * Function that makes a request: the part of the platform's `fetch` that a
 * delivery uses.
 *
 * @example Log each request
 * ```ts
 * import type { Fetch } from "@runnel/workflow";
 *
 * const logging: Fetch = (url, init) => {
 *   console.log(`${init.method} ${url}`);
 *   return fetch(url, init);
 * };
 * ```
 */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** Options for {@linkcode publishOnce}. */
export interface AttemptOptions {
  /** Token of a publisher, if the service asks for one. */
  token?: string | undefined;
  /** Time limit of the attempt, in milliseconds. */
  maxMs: number;
  /** Function that makes the request. */
  fetch: Fetch;
  /** Clock: the time in milliseconds since the Unix epoch. */
  now: () => number;
}

/** Acceptance of a request: its events are durable. */
export interface Accepted {
  /** The event IDs, in order. */
  ids: string[];
}

/** Failure of one attempt. */
export interface FailedAttempt {
  /** Status of the answer; `null` if there was none. */
  status: number | null;
  /** Description of the failure, without a period. */
  reason: string;
  /** Whether another attempt may succeed. */
  isTransient: boolean;
  /** Time that `Retry-After` asks to wait, in milliseconds. */
  retryAfterMs: number;
  /** The error underneath, if there was one. */
  cause?: unknown;
}

/** Sends a request once. It does not throw: a failure is an outcome. */
export async function publishOnce(
  url: URL,
  { events, body, idempotencyKey }: PublishRequest,
  { token, maxMs, fetch, now }: AttemptOptions,
): Promise<Accepted | FailedAttempt> {
  const headers = new Headers({
    "Content-Type": "application/json",
    "Idempotency-Key": idempotencyKey,
  });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const controller = new AbortController();
  const { signal } = controller;
  // Not `AbortSignal.timeout`: in Node it refuses fractions of a millisecond.
  const timer = setTimeout(() => {
    controller.abort(new Error(`It took longer than ${maxMs} ms`));
  }, maxMs);
  // A race, because a `fetch` that was passed in may ignore the signal.
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  let status: number | null = null;
  try {
    // A redirect would carry the events and the token to wherever the answer points.
    const sent = fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
    const response = await Promise.race([sent, late]);
    if (isRedirect(response)) {
      void response.body?.cancel().catch(() => {});
      return refuseRedirect(url, response);
    }
    ({ status } = response);
    const answer = await Promise.race([response.text(), late]);
    if (status === 202) return { ids: readIds(answer, events.length) };
    const reason = `${url} answered ${status}${readDetail(answer)}`;
    const retryAfterMs = readRetryAfter(response, now());
    return { status, reason, isTransient: isTransient(status), retryAfterMs };
  } catch (cause) {
    const reason = status === null
      ? `${url} did not answer`
      : `${url} answered ${status}, but the answer is incomplete`;
    return { status, reason, isTransient: isTransient(status), retryAfterMs: 0, cause };
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a failure is transient. A failure with status 202 is an acceptance without its IDs. */
function isTransient(status: number | null): boolean {
  return status === null || status === 202 || TRANSIENT_STATUSES.includes(status);
}

/** Whether an answer is a redirect. A browser hides everything else about it. */
function isRedirect({ type, status, headers }: Response): boolean {
  return type === "opaqueredirect" || (status >= 300 && status < 400 && headers.has("Location"));
}

function refuseRedirect(url: URL, { status, headers }: Response): FailedAttempt {
  const location = headers.get("Location");
  const target = location === null ? "" : ` to ${toPrintable(location)}`;
  return {
    status: status || null,
    reason: `${url} answered with a redirect${target}, which is not followed. ` +
      "Set the URL of the service itself",
    isTransient: false,
    retryAfterMs: 0,
  };
}

/** Throws if the answer is incomplete: then the request counts as unanswered. */
function readIds(answer: string, count: number): string[] {
  const { events } = JSON.parse(answer) as { events: { id: unknown }[] };
  const ids = events.map(({ id }) => id).filter(isEventId);
  if (ids.length !== count) throw new Error(`Expected ${count} IDs, got ${ids.length}`);
  return ids;
}

/** Whether a value can be an event ID. Programs print them, so control characters are refused. */
function isEventId(id: unknown): id is string {
  return typeof id === "string" && /^[!-~]{1,64}$/.test(id);
}

/** The detail of a problem document (RFC 9457), if the answer is one. */
function readDetail(answer: string): string {
  try {
    const { detail } = JSON.parse(answer) as { detail?: unknown };
    return typeof detail === "string" ? `: ${toPrintable(detail)}` : "";
  } catch {
    // A proxy answers with a page of its own.
    return "";
  }
}

/** Shortens text of a server, and escapes control characters, which could drive a terminal. */
function toPrintable(text: string): string {
  const beginning = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return beginning.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
function readRetryAfter({ headers }: Response, now: number): number {
  const value = headers.get("Retry-After") ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return ms > 0 ? ms : 0;
}
