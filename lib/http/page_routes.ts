/**
 * The routes of the pages for people.
 *
 * @module
 */

import { secureHeaders } from "hono/secure-headers";
import { type AppOptions, check, nothingHere, type On, type Use } from "./context.ts";
import { guide } from "./guide.ts";
import { pipelineParams, probeQuery, type Routes } from "./openapi.ts";
import { readPageFile } from "./page_files.ts";
import { problem } from "./problem.ts";
import { streamHeaders } from "./stream_headers.ts";

/** How long a probe waits between two lines, in milliseconds, if it is not told. */
const PROBE_EVERY_MS = 500;

/**
 * What pages are sent with: they load nothing from elsewhere, and nobody frames
 * them.
 */
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
  // Whether all of a domain speaks TLS is for those to say who end it.
  strictTransportSecurity: false,
});

/** Adds the routes of pages. */
export function addPages(use: Use, on: On, routes: Routes, { hub }: AppOptions): void {
  for (const path of ["/", "/diagnose", "/assets/*", "/pipelines/:pipeline"]) use(path, headers);

  on(routes.start, (c) => {
    const isBrowser = c.req.header("Accept")?.includes("text/html");
    c.header("Vary", "Accept", { append: true });
    return isBrowser ? page("start/start.html") : c.text(guide(new URL(c.req.url).origin));
  });
  on(routes.viewer, (c) => {
    check(pipelineParams, c.req.param());
    return page("viewer/viewer.html");
  });
  on(routes.diagnose, () => page("diagnose/diagnose.html"));
  on(routes.probe, (c) => {
    const { every, bytes, ask } = check(probeQuery, c.req.query());
    const headers = new Headers(streamHeaders(c));
    if (ask === "0") headers.delete("X-Accel-Buffering");
    const stream = c.req.method === "HEAD" ? null : hub.probe({
      everyMs: Number(every ?? PROBE_EVERY_MS),
      bytes: Number(bytes ?? 0),
      completed: c.env.completed,
    });
    return new Response(stream, { headers });
  });
  on(routes.asset, (c) => page(`${c.req.param("folder")}/${c.req.param("file")}`));
}

async function page(name: string): Promise<Response> {
  return await readPageFile(name) ?? problem(nothingHere());
}
