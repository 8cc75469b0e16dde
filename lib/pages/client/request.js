/* @ts-self-types="../../client/request.ts" */
// @ts-nocheck: built from lib/client/request.ts by "deno task build".

import { SubscribeError } from "./errors.js";

const MAX_PIPELINES = 10;

export function assertValid(isValid, expected) {
  if (!isValid) throw new TypeError(`Cannot subscribe: expected ${expected}`);
}

export function streamUrl(base, pipelines) {
  let url;
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
  const path = count > 1 ? "sse" : `pipelines/${encodeURIComponent(pipelines[0])}/sse`;
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  url.search = url.hash = "";
  if (count > 1) {
    for (const pipeline of pipelines) {
      url.searchParams.append("pipeline", pipeline);
    }
  }
  return url;
}

export function withQuery(
  base,
  { channels, history, since },
  wait,
) {
  const url = new URL(base);
  const query = url.searchParams;
  // The URL of a ticket may have its own.
  if (!query.has("channel")) {
    for (const channel of [channels ?? []].flat()) query.append("channel", channel);
  }
  if (history !== undefined) query.set("history", `${history}`);
  if (since !== undefined) query.set("since", since.toISOString?.() ?? since);
  if (wait !== null) query.set("wait", `${wait}`);
  return url;
}

export function requestHeaders(
  token,
  lastEventId,
) {
  // The message does not repeat a value that may be secret.
  if (token && !/^[!-~]+$/.test(token)) throw new SubscribeError("the token is not visible ASCII");
  return {
    Accept: "text/event-stream, application/problem+json",
    ...token && { Authorization: `Bearer ${token}` },
    // A header is bytes: UTF-8, as that of an `EventSource`. No ID of the service needs it.
    ...lastEventId && { "Last-Event-ID": unescape(encodeURIComponent(lastEventId)) },
  };
}

export async function takeAnswer(
  response,
  now,
) {
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
