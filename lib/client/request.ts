/**
 * Requests for a stream.
 *
 * @module
 */

import { SubscribeError } from "./errors.ts";
import type { SubscribeOptions } from "./subscribe_options.ts";

/** Maximum number of pipelines on one connection. */
const MAX_PIPELINES = 10;

/** @throws {TypeError} If an argument is invalid, which is no failure of the network. */
export function assertValid(isValid: unknown, expected: string): asserts isValid {
  if (!isValid) throw new TypeError(`Cannot subscribe: expected ${expected}`);
}

/**
 * Returns the URL of a subscription, for any transport.
 *
 * @throws {TypeError} If the URL is invalid, or there are too many pipelines, none, or one twice.
 */
export function streamUrl(base: string | URL, pipelines: readonly string[]): URL {
  let url: URL | undefined;
  try {
    url = new URL(base, globalThis.location?.href);
  } catch {
    // Its own message does not tell where the URL belongs.
  }
  assertValid(url && /^http/.test(url.protocol) && !url.username, "an http URL");
  const count = new Set(pipelines).size;
  assertValid(
    pipelines[0] && count <= MAX_PIPELINES && count === pipelines.length,
    `1 to ${MAX_PIPELINES} different pipelines`,
  );
  const path = count > 1 ? "sse" : `pipelines/${encodeURIComponent(pipelines[0]!)}/sse`;
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  url.search = url.hash = "";
  if (count > 1) {
    for (const pipeline of pipelines) {
      url.searchParams.append("pipeline", pipeline);
    }
  }
  return url;
}

/**
 * Returns a URL with the options of a subscription.
 *
 * @param wait Time that the service holds a long poll, in seconds; `null` for a stream.
 */
export function withQuery(
  base: URL,
  { channels, history, since }: SubscribeOptions,
  wait: number | null,
): URL {
  const url = new URL(base);
  const query = url.searchParams;
  // The URL of a ticket may have its own.
  if (!query.has("channel")) {
    for (const channel of [channels ?? []].flat()) query.append("channel", channel);
  }
  if (history !== undefined) query.set("history", `${history}`);
  if (since !== undefined) query.set("since", (since as Date).toISOString?.() ?? since);
  if (wait !== null) query.set("wait", `${wait}`);
  return url;
}

/**
 * Returns the headers of a request.
 *
 * @throws {SubscribeError} If the token cannot be sent.
 */
export function requestHeaders(
  token: string | undefined,
  lastEventId: string,
): Record<string, string> {
  // The message does not repeat a value that may be secret.
  if (token && !/^[!-~]+$/.test(token)) throw new SubscribeError("the token is not visible ASCII");
  return {
    Accept: "text/event-stream, application/problem+json",
    ...token && { Authorization: `Bearer ${token}` },
    // A header is bytes: UTF-8, as that of an `EventSource`. No ID of the service needs it.
    ...lastEventId && { "Last-Event-ID": unescape(encodeURIComponent(lastEventId)) },
  };
}

/**
 * Takes the answer to a request.
 *
 * @param now The time, in milliseconds since the Unix epoch.
 * @returns The body of an event stream, or `null` if the runs of all pipelines have ended.
 * @throws {SubscribeError} If the service refuses the request permanently.
 * @throws {Error} If it refuses the request for now, or something else has answered. The error has
 *   the time that `Retry-After` asks for as `retryAfterMs`, in milliseconds.
 */
export async function takeAnswer(
  response: Response,
  now: number,
): Promise<ReadableStream<Uint8Array> | null> {
  const { status, body, headers } = response;
  if (status === 204) return null;
  const type = headers.get("Content-Type") ?? "";
  if (status === 200 && body && /^text\/event-stream *(;|$)/i.test(type)) return body;
  const problem = /json/.test(type) && await response.json().catch(() => {}) || {};
  const reason = `${status} ${problem.detail ?? type}`;
  // But no timeout, no replay of TLS, and no rate limit.
  if (/^4(?!08|25|29)/.test(reason)) throw new SubscribeError(reason, { ...problem, status });
  const asked = headers.get("Retry-After") ?? "";
  const retryAfterMs = /^\d+$/.test(asked) ? +asked * 1000 : Date.parse(asked) - now;
  // Also a page to sign in, for example, to which a proxy redirects.
  throw Object.assign(new Error(`No event stream: ${reason}`), { retryAfterMs });
}
