/**
 * Authentication and rate limit of clients that write: publish, clear, or
 * request a ticket.
 *
 * @module
 */

import { type Bearer, RateLimiter } from "../access/mod.ts";
import { addressOf, type AppContext, type AppOptions } from "./context.ts";

/**
 * Creates a function that authenticates a client and counts its request, before
 * anything of the body is read. A token is counted wherever it is used from, and
 * a client without a token by its address.
 */
export function createAuthenticator(
  { access, config, runtime }: AppOptions,
): (c: AppContext) => Promise<Bearer | null> {
  const rate = new RateLimiter(config.publishRate, runtime);
  return async (c) => {
    const bearer = await access.authenticate(c.req.raw);
    const client = bearer?.id ?? addressOf(c, config);
    if (client !== null) rate.count(client);
    return bearer;
  };
}
