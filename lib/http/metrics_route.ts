/**
 * The route of the metrics.
 *
 * @module
 */

import { Hono } from "hono";
import { CONTENT_TYPE, formatOpenMetrics } from "../telemetry/mod.ts";
import { type AppEnv, clientOf, type RouteOptions } from "./context.ts";

/** Creates the route that tells an operator's scraper the figures of the instance. */
export function metricsRoute(
  { access, routes, gather }: Pick<RouteOptions, "access" | "routes" | "gather">,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get(routes.metrics.getRoutingPath(), async (c) => {
    access.authorizeMetrics(c.req.raw, clientOf(c), c.env.isOwn);
    const page = await formatOpenMetrics(await gather());
    return new Response(page, { headers: { "Content-Type": CONTENT_TYPE } });
  });
  return app;
}
