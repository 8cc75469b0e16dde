/**
 * What everyone goes through who writes: events, or tickets.
 *
 * @module
 */

import { type Bearer, PublishRate } from "../access/mod.ts";
import { addressOf, type AppContext, type AppOptions } from "./context.ts";

/** Finds out who it is, and that it is not too often: before anything of it is read. */
export type Entrance = (c: AppContext) => Promise<Bearer | null>;

/** Makes the entrance, which counts. */
export function createEntrance({ access, config, runtime }: AppOptions): Entrance {
  const rate = new PublishRate(config.publishRate, runtime);
  return async (c) => {
    const bearer = await access.bearer(c.req.raw);
    const who = bearer?.id ?? addressOf(c, config);
    if (who !== null) rate.count(who);
    return bearer;
  };
}
