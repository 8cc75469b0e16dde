/**
 * Who is at the other end of a connection.
 *
 * @module
 */

import { isLoopback } from "../base/mod.ts";

/**
 * The address of a client.
 *
 * @param request What it sent.
 * @param remote The address at the other end of the connection, if it is known.
 * @param proxies How many proxies of ours are in front, each of which adds to
 *   `X-Forwarded-For`. What stands before theirs anybody may have written.
 * @returns The address, or `null` if it is not known, or this machine's own.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const headers = { "X-Forwarded-For": "192.0.2.1, 198.51.100.7" };
 * const request = new Request("http://localhost/", { headers });
 * equal(clientAddress(request, "203.0.113.5", 0), "203.0.113.5");
 * equal(clientAddress(request, "127.0.0.1", 1), "198.51.100.7");
 * equal(clientAddress(request, "127.0.0.1", 0), null);
 * ```
 */
export function clientAddress(
  request: Request,
  remote: string | undefined,
  proxies: number,
): string | null {
  const forwarded = (request.headers.get("X-Forwarded-For") ?? "")
    .split(",").map((address) => address.trim()).filter((address) => address !== "");
  const address = proxies > 0 ? forwarded.at(-proxies) ?? remote : remote;
  return address === undefined || isLoopback(address) ? null : address;
}
