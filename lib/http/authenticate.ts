/**
 * Authentication and rate limit of clients that write: publish, clear, or
 * request a ticket.
 *
 * @module
 */

import { type Bearer, RateLimiter } from "../access/mod.ts";
import { type AppContext, clientOf, type RouteOptions } from "./context.ts";

/**
 * Creates a function that authenticates a client and counts its request, before
 * anything of the body is read. A token is counted wherever it is used from, and
 * a client without a token by its address.
 */
export function createAuthenticator(
  { access, config, runtime }: Pick<RouteOptions, "access" | "config" | "runtime">,
): (c: AppContext) => Promise<Bearer | null> {
  const { publishRate } = config;
  const rate = new RateLimiter(
    publishRate,
    runtime,
    `Cannot publish: more than ${publishRate} requests in a second. ` +
      "Send more events in each, or wait",
  );
  return async (c) => {
    const client = clientOf(c);
    const bearer = await access.authenticate(client);
    const counted = bearer?.id ?? client.address;
    if (counted !== null) rate.count(counted);
    return bearer;
  };
}
