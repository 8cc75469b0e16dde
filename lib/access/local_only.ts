/**
 * Protection of a service without secrets on a developer's machine, against DNS
 * rebinding and cross-site requests: other machines cannot reach it, but the pages
 * in the developer's browser can.
 *
 * @module
 */

import { isLoopback, rememberLast, RunnelError } from "../base/mod.ts";

/** Methods that change nothing. */
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];

/**
 * Rejects requests that a foreign page may have sent: requests to a host name that
 * is not local (DNS rebinding), and requests that write from pages of other sites (CSRF).
 *
 * @param allowOrigins Origins whose pages may write; `*` names none.
 * @throws {RunnelError} `forbidden`.
 *
 * @see {@link https://www.w3.org/TR/fetch-metadata/}
 */
export function rejectForeignPages(request: Request, allowOrigins: "*" | readonly string[]): void {
  const host = request.headers.get("Host");
  if (!isLocalHost(host ? `http://${host}` : request.url)) {
    throw new RunnelError(
      "forbidden",
      "Cannot answer: a service without secrets only answers to localhost. " +
        "Set RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SECRET to use another name",
    );
  }
  if (SAFE_METHODS.includes(request.method)) return;
  const origin = request.headers.get("Origin");
  const isNamed = origin !== null && allowOrigins !== "*" && allowOrigins.includes(origin);
  if (isNamed) return;
  // Not every browser sends Sec-Fetch-Site, and a request without either is no page's.
  const isCrossSite = request.headers.get("Sec-Fetch-Site") === "cross-site";
  if (isCrossSite || (origin !== null && !isLocalUrl(origin))) {
    throw new RunnelError(
      "forbidden",
      "Cannot accept writes from a page of another site: a service without secrets only " +
        "accepts them from named origins. Add the origin to RUNNEL_ALLOW_ORIGINS",
    );
  }
}

/**
 * Whether a request was not sent by a page of another site, nor to a host name that is
 * not local: for what only this machine may read.
 */
export function isOwnRequest(request: Request): boolean {
  const { headers, url } = request;
  const origin = headers.get("Origin");
  const host = headers.get("Host");
  return isLocalUrl(host ? `http://${host}` : url) && (origin === null || isLocalUrl(origin)) &&
    headers.get("Sec-Fetch-Site") !== "cross-site";
}

/** Whether a URL is on this machine. Pages of other local ports are the developer's own. */
function isLocalUrl(url: string): boolean {
  return URL.canParse(url) && isLoopback(new URL(url).hostname);
}

/** The same, remembered: most requests name one host, and to parse it takes 3 of 40 µs of a publish. */
const isLocalHost = rememberLast(isLocalUrl);
