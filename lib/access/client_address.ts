/**
 * Addresses of clients, by which they are counted.
 *
 * @module
 */

import { rememberLast, type Runtime } from "../base/mod.ts";
import { parseIpAddress } from "./ip_address.ts";

/** Headers of requests that a proxy forwards. */
const PROXY_HEADERS = ["X-Forwarded-For", "Forwarded"];

/** The same, and others that proxies add. */
const FORWARDING_HEADERS = [...PROXY_HEADERS, "Via", "X-Real-IP", "X-Forwarded-Host"];

/** Remembered, because all clients behind a proxy have the address of that at the connection. */
const parseRemote = rememberLast((remote) =>
  parseIpAddress(remote) ?? { client: remote, isLoopback: false }
);

/** Finds the addresses of clients. */
export class ClientAddresses {
  readonly #trustedProxies: number;
  readonly #runtime: Pick<Runtime, "report">;
  #hasReported = false;

  /**
   * @param trustedProxies Number of trusted proxies. Each appends one address to
   *   `X-Forwarded-For`; earlier entries can be forged.
   * @param runtime Reporter of settings that do not match the requests.
   */
  constructor(trustedProxies: number, runtime: Pick<Runtime, "report">) {
    this.#trustedProxies = trustedProxies;
    this.#runtime = runtime;
  }

  /**
   * Returns the address by which a client is counted. Only this machine itself is
   * not, and none of its clients if it is a proxy.
   *
   * @param headers Headers of the request.
   * @param remote Address at the other end of the connection, if it is known.
   * @returns The address, or the network of an IPv6 address; `null` if the client is
   *   not counted.
   */
  of(headers: Headers, remote: string | undefined): string | null {
    const forwarded = this.#forwarded(headers);
    if (forwarded) return forwarded;
    if (remote === undefined) return null;
    const { client, isLoopback } = parseRemote(remote);
    if (this.#trustedProxies > 0) {
      this.#reportOnce(
        `A request of ${client} has no address in X-Forwarded-For from ` +
          `${this.#trustedProxies} proxies, so ${client} is counted. Let each of your proxies ` +
          "append to that header, and set RUNNEL_TRUSTED_PROXIES to their number",
      );
      return client;
    }
    if (!isLoopback) return client;
    if (!PROXY_HEADERS.some((name) => headers.get(name))) return null;
    this.#reportOnce(
      "A proxy of this machine forwards requests, and all its clients are counted as one. " +
        "Set RUNNEL_TRUSTED_PROXIES to the number of your proxies",
    );
    return client;
  }

  /**
   * Whether a request comes from this machine and was not forwarded.
   *
   * @param remote Address at the other end of the connection; not of this machine if
   *   it is unknown.
   */
  isOwn(headers: Headers, remote: string | undefined): boolean {
    return remote !== undefined && parseRemote(remote).isLoopback &&
      !FORWARDING_HEADERS.some((name) => headers.has(name));
  }

  /** Returns the address that the first trusted proxy appended. */
  #forwarded(headers: Headers): string | null {
    if (this.#trustedProxies === 0) return null;
    const entries = (headers.get("X-Forwarded-For") ?? "").split(",").map((entry) => entry.trim());
    const entry = entries.at(-this.#trustedProxies);
    return entry === undefined ? null : parseIpAddress(entry)?.client ?? null;
  }

  #reportOnce(message: string): void {
    if (this.#hasReported) return;
    this.#hasReported = true;
    this.#runtime.report(message);
  }
}
