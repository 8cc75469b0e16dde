/**
 * IP addresses, as clients are counted by them.
 *
 * @module
 */

/** An IP address. */
export interface IpAddress {
  /**
   * Text by which it is counted: that of an IPv4 address, or the network of an IPv6
   * address. A subscriber of a provider has all the addresses of a /64 network.
   */
  readonly client: string;
  /** Whether it is that of the local machine. */
  readonly isLoopback: boolean;
}

/**
 * Parses an IP address, with a port or without, as it stands in `X-Forwarded-For`.
 *
 * @returns The address; `null` if it is none.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(parseIpAddress("192.0.2.1:8080")?.client, "192.0.2.1");
 * equal(parseIpAddress("[2001:db8::1]:443")?.client, "2001:db8:0:0::/64");
 * equal(parseIpAddress("unknown"), null);
 * ```
 */
export function parseIpAddress(text: string): IpAddress | null {
  const unquoted = text.replace(/^"(.*)"$/, "$1");
  return parseIpv4(unquoted.replace(/:\d{1,5}$/, "")) ??
    parseIpv6(unquoted.replace(/^\[([^\]]*)\](?::\d{1,5})?$/, "$1").replace(/%.*$/, ""));
}

function parseIpv4(text: string): IpAddress | null {
  const isAddress = /^(?:(?:0|[1-9]\d{0,2})(?:\.(?!$)|$)){4}$/.test(text) &&
    text.split(".").every((part) => Number(part) <= 255);
  return isAddress ? { client: text, isLoopback: text.startsWith("127.") } : null;
}

function parseIpv6(text: string): IpAddress | null {
  const url = `http://[${text}]/`;
  // The URL parser accepts exactly the notations of RFC 4291, and returns one of them.
  if (!/^[\da-f:.]+$/i.test(text) || !URL.canParse(url)) return null;
  const groups = expand(new URL(url).hostname.slice(1, -1));
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return parseIpv4(groups.slice(6).flatMap((n) => [n >> 8, n & 255]).join("."));
  return {
    client: `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`,
    isLoopback: groups.every((group, index) => group === (index === 7 ? 1 : 0)),
  };
}

/** Returns the eight groups of an address, in which `::` stands for any number of zeros. */
function expand(address: string): number[] {
  const [left, right] = address.split("::").map((part) => part === "" ? [] : part.split(":"));
  const zeros = right ? Array(8 - left!.length - right.length).fill("0") : [];
  return [...left!, ...zeros, ...right ?? []].map((group) => parseInt(group, 16));
}
