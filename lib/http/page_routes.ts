/**
 * The routes of the pages.
 *
 * @module
 */

import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { type AppEnv, notFound, originOf, parseOrThrow, type RouteOptions } from "./context.ts";
import { welcomeText } from "./welcome.ts";
import { readPageFile } from "./page_files.ts";
import { problem } from "./problem.ts";
import { PROBE_LINES, type ProxyProbes, QUIET_PROBE_LINES } from "./proxy_probes.ts";
import { pipelineParams, probeQuery } from "./schemas.ts";
import { streamHeaders } from "./stream_headers.ts";

/** Default interval between two lines of a probe, in milliseconds. */
const PROBE_EVERY_MS = 500;

/** Security headers of pages: they load nothing from other origins, and cannot be framed. */
const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: "DENY",
  // Only the proxy that terminates TLS knows whether all of its domain uses it.
  strictTransportSecurity: false,
  // Deprecated, or never standardized: no browser that runs the pages reads them.
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
});

/** Creates the routes of the pages. */
export function pageRoutes(
  { routes, config, probes }: Pick<RouteOptions, "routes" | "config"> & { probes: ProxyProbes },
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  for (const path of ["/", "/diagnose", "/assets/*", "/pipelines/:pipeline"]) {
    app.use(path, headers);
  }

  app.get(routes.start.getRoutingPath(), (c) => {
    const isBrowser = c.req.header("Accept")?.includes("text/html");
    c.header("Vary", "Accept", { append: true });
    return isBrowser ? page("start/start.html") : c.text(welcomeText(originOf(c, config)));
  });
  app.get(routes.viewer.getRoutingPath(), (c) => {
    parseOrThrow(pipelineParams, c.req.param());
    return page("viewer/viewer.html");
  });
  app.get(routes.diagnose.getRoutingPath(), () => page("diagnose/diagnose.html"));
  app.get(routes.probe.getRoutingPath(), (c) => {
    const { every, quiet, bytes, ask } = parseOrThrow(probeQuery, c.req.query());
    const headers = new Headers(streamHeaders(c));
    if (ask === "0") {
      for (const name of ["X-Accel-Buffering", "Incremental"]) headers.delete(name);
    }
    const stream = c.req.method === "HEAD" ? null : probes.open({
      everyMs: Number(quiet ?? every ?? PROBE_EVERY_MS),
      lines: quiet === undefined ? PROBE_LINES : QUIET_PROBE_LINES,
      bytes: Number(bytes ?? 0),
      completed: c.env.completed,
    });
    return new Response(stream, { headers });
  });
  app.get(
    routes.asset.getRoutingPath(),
    (c) => page(`${c.req.param("folder")}/${c.req.param("file")}`),
  );
  return app;
}

async function page(name: string): Promise<Response> {
  return await readPageFile(name) ?? problem(notFound());
}
