/**
 * Authentication and rate limit of clients that write: publish, clear, or
 * request a ticket.
 *
 * @module
 */

import { type Bearer, RateLimiter } from "../access/mod.ts";
import type { Config } from "../config/mod.ts";
import type { Runtime } from "../base/mod.ts";
import { type AppContext, clientOf, type RouteOptions } from "./context.ts";

/** Creates the limiter of what clients write in a second. */
export function createWriteRate(
  { publishRate }: Pick<Config, "publishRate">,
  runtime: Pick<Runtime, "clock">,
): RateLimiter {
  return new RateLimiter(
    publishRate,
    runtime,
    `Cannot publish: more than ${publishRate} requests in a second. ` +
      "Send more events in each, or wait",
  );
}

/**
 * Creates a function that authenticates a client and counts its request, before
 * anything of the body is read. A token is counted wherever it is used from, and
 * a client without a token by its address.
 */
export function createAuthenticator(
  { access, rate }: Pick<RouteOptions, "access" | "rate">,
): (c: AppContext) => Promise<Bearer | null> {
  return async (c) => {
    const bearer = await access.authenticate(clientOf(c));
    const writer = writerOf(c, bearer);
    if (writer !== null) rate.count(writer);
    return bearer;
  };
}

/** Identifies a client that writes, for counting; `null` if it is not counted. */
export function writerOf(c: AppContext, bearer: Bearer | null): string | null {
  return bearer?.id ?? c.env.address;
}
