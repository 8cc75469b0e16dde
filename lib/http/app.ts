/**
 * The HTTP surface: what all routes go through, and the answers to failures.
 *
 * @module
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import manifest from "../../deno.json" with { type: "json" };
import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import { createEntrance } from "./authenticate.ts";
import {
  type AppContext,
  type AppOptions,
  nothingHere,
  type On,
  type RequestInfo,
} from "./context.ts";
import { createRoutes } from "./openapi.ts";
import { addPages } from "./page_routes.ts";
import { problem } from "./problem.ts";
import { addPublishing } from "./publish_routes.ts";
import { addSubscribing } from "./stream_routes.ts";

/** How long the log may take to show that it is there, in milliseconds. */
const READY_TIMEOUT_MS = 1000;

/** Failures that the operator is told of, beside those that are not foreseen. */
const OUTAGES: readonly RunnelErrorType[] = [
  "log-unavailable",
  "outcome-unknown",
  "keys-unavailable",
];

/**
 * Makes the handler of all requests.
 *
 * @param options What it works with.
 */
export function createApp(
  options: AppOptions,
): (request: Request, info?: RequestInfo) => Promise<Response> {
  const { hub, access, config, runtime } = options;
  const app = new OpenAPIHono<{ Bindings: RequestInfo }>();
  const routes = createRoutes(config.history);
  const enter = createEntrance(options);

  app.use(cors({
    origin: config.allowOrigins === "*" ? "*" : [...config.allowOrigins],
    allowMethods: ["GET", "HEAD", "POST", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
    exposeHeaders: ["Retry-After", "Idempotency-Replayed"],
    // A cookie for any page's use would be everybody's.
    credentials: config.allowOrigins !== "*",
    maxAge: 86_400,
  }));
  app.use(async (c, next) => {
    access.guard(c.req.raw);
    // Deno makes the URL of the Host header, whatever that holds.
    if (!URL.canParse(c.req.url)) {
      throw new RunnelError(
        "malformed-request",
        "Cannot read Host: expected a name or an address, and a port",
      );
    }
    await next();
  });
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) =>
      problem(
        new RunnelError(
          "method-not-allowed",
          `Cannot ${c.req.method} here: expected ${methods.join(", ")}`,
        ),
        { Allow: methods.join(", ") },
      ),
  }));

  const on: On = (route, handler) => {
    app.openAPIRegistry.registerPath(route);
    app.on(route.method.toUpperCase(), route.getRoutingPath(), handler);
  };

  // Before the streams: the path of the probe would match theirs, too.
  addPages((path, handler) => app.use(path, handler), on, routes, options);
  addSubscribing(on, routes, options, enter, reportOutage);
  addPublishing(on, routes, options, enter);
  on(routes.healthy, (c) => c.text("ok\n"));
  on(routes.ready, async (c) => {
    await hub.ready(READY_TIMEOUT_MS);
    return c.text("ok\n");
  });
  on(routes.openapi, (c) => c.json(document));

  app.notFound(() => problem(nothingHere()));
  app.onError((error, c) => {
    reportOutage(c, error);
    return problem(error instanceof RunnelError ? error : null);
  });

  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Runnel", version: manifest.version },
  });

  /** Tells the operator of what is no client's fault. */
  function reportOutage(c: AppContext, error: Error): void {
    if (error instanceof RunnelError && !OUTAGES.includes(error.type)) return;
    runtime.report(`Cannot ${c.req.method} ${c.req.path}`, error);
  }

  return async (request, info) =>
    await app.fetch(request, { completed: info?.completed, remoteAddr: info?.remoteAddr });
}
