/**
 * What protects a service without secrets on a developer's machine: other
 * machines do not reach it, but the pages in the developer's browser do.
 *
 * @module
 */

import { isLoopback, RunnelError } from "../base/mod.ts";

/** What changes nothing. */
const READS = ["GET", "HEAD", "OPTIONS"];

/**
 * Refuses what a page of somewhere else may have sent: under a name that was
 * made to point here, or across sites to write.
 *
 * @param request The request.
 * @param allowOrigins The origins whose pages may use the service; `*` names none.
 * @throws {RunnelError} `forbidden`.
 *
 * @see {@link https://www.w3.org/TR/fetch-metadata/}
 *
 * @example
 * ```ts
 * import { throws } from "node:assert/strict";
 *
 * guardOpenService(new Request("http://localhost:8000/"), "*");
 * const request = new Request("http://rebound.example:8000/");
 * throws(() => guardOpenService(request, "*"), { type: "forbidden" });
 * ```
 */
export function guardOpenService(request: Request, allowOrigins: "*" | readonly string[]): void {
  const host = request.headers.get("Host");
  const url = host ? `http://${host}` : request.url;
  if (!URL.canParse(url) || !isLoopback(new URL(url).hostname)) {
    throw new RunnelError(
      "forbidden",
      "Cannot answer: a service without secrets answers to localhost alone. " +
        "Set RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SECRET to be reached by another name",
    );
  }
  if (READS.includes(request.method)) return;
  if (request.headers.get("Sec-Fetch-Site") !== "cross-site") return;
  const origin = request.headers.get("Origin") ?? "";
  if (allowOrigins === "*" || !allowOrigins.includes(origin)) {
    throw new RunnelError(
      "forbidden",
      "Cannot take this from a page of another site: a service without secrets takes it from " +
        "origins that RUNNEL_ALLOW_ORIGINS names alone",
    );
  }
}
