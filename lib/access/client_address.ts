/**
 * Addresses of clients.
 *
 * @module
 */

import { isLoopback } from "../base/mod.ts";

/** Facts about a connection, for {@linkcode clientAddress}. */
export interface Connection {
  /** Address at the other end of the connection, if it is known. */
  remote: string | undefined;
  /**
   * Number of trusted proxies. Each appends one address to `X-Forwarded-For`;
   * earlier entries can be forged.
   */
  trustedProxies: number;
}

/** Returns the address of a client; `null` if it is unknown, or is this machine. */
export function clientAddress(
  request: Request,
  { remote, trustedProxies }: Connection,
): string | null {
  const forwarded = (request.headers.get("X-Forwarded-For") ?? "")
    .split(",").map((address) => address.trim()).filter((address) => address !== "");
  const address = trustedProxies > 0 ? forwarded.at(-trustedProxies) ?? remote : remote;
  return address === undefined || isLoopback(address) ? null : address;
}
