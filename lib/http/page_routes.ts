/**
 * The routes of the pages.
 *
 * @module
 */

import { Hono } from "hono";
import { type AppEnv, originOf, parseOrThrow, type RouteOptions, textAnswer } from "./context.ts";
import { acceptsHtml, page, pageHeaders } from "./html_answers.ts";
import { llmsText } from "./llms_text.ts";
import { PROBE_LINES, type ProxyProbes, QUIET_PROBE_LINES } from "./proxy_probes.ts";
import { pipelineParams, probeQuery } from "./schemas.ts";
import { streamHeaders } from "./stream_headers.ts";
import { welcomeText } from "./welcome.ts";

/** Default interval between two lines of a probe, in milliseconds. */
const PROBE_EVERY_MS = 500;

/** Creates the routes of the pages. */
export function pageRoutes(
  { routes, config, probes }: Pick<RouteOptions, "routes" | "config"> & { probes: ProxyProbes },
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  for (const path of ["/", "/diagnose", "/assets/*", "/pipelines/:pipeline"]) {
    app.use(path, pageHeaders);
  }

  app.get(routes.start.getRoutingPath(), async (c) => {
    const response = acceptsHtml(c)
      ? await page("start/start.html")
      : textAnswer(welcomeText(originOf(c, config), config.access));
    response.headers.append("Vary", "Accept");
    return response;
  });
  app.get(routes.viewer.getRoutingPath(), (c) => {
    parseOrThrow(pipelineParams, c.req.param());
    return page("viewer/viewer.html");
  });
  app.get(
    routes.llms.getRoutingPath(),
    (c) => textAnswer(llmsText(originOf(c, config), config)),
  );
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
