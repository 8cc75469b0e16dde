/**
 * The HTTP interface: middleware that all routes share, and responses to errors.
 *
 * @module
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import manifest from "../../deno.json" with { type: "json" };
import { ClientAddresses } from "../access/mod.ts";
import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import { createAuthenticator } from "./authenticate.ts";
import { BodyRoom } from "./body_room.ts";
import {
  type AppContext,
  type AppEnv,
  type AppOptions,
  notFound,
  type RequestInfo,
} from "./context.ts";
import { acceptsHtml, page, pageHeaders, showProblem } from "./html_answers.ts";
import { findNearRoutes } from "./near_routes.ts";
import { createRoutes, SECURITY_SCHEMES } from "./openapi.ts";
import { pageRoutes } from "./page_routes.ts";
import { problem } from "./problem.ts";
import { ProxyProbes } from "./proxy_probes.ts";
import { publishRoutes } from "./publish_routes.ts";
import { streamRoutes } from "./stream_routes.ts";
import { ticketRoutes } from "./ticket_routes.ts";

/** Maximum time that the log may take to prove that it accepts events, in milliseconds. */
const READY_TIMEOUT_MS = 1000;

/** Headers of every response that does not set them itself, errors included. */
const DEFAULT_HEADERS = [
  ["X-Content-Type-Options", "nosniff"],
  // Any page may load it, which the CORS headers restrict where they should.
  ["Cross-Origin-Resource-Policy", "cross-origin"],
  ["Cache-Control", "no-store"],
] as const;

/** Errors that are reported to the operator, in addition to unexpected ones. */
const OUTAGES: readonly RunnelErrorType[] = [
  "log-unavailable",
  "outcome-unknown",
  "keys-unavailable",
];

/** Request headers that pages of other origins may send: used here, or added by common libraries. */
const ALLOWED_HEADERS = [
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "Last-Event-ID",
  // Polyfills of EventSource, and request libraries.
  "Cache-Control",
  "X-Requested-With",
  // Tracing: W3C Trace Context, W3C Baggage, Sentry.
  "traceparent",
  "tracestate",
  "baggage",
  "sentry-trace",
] as const;

/** The HTTP surface of a service. */
export interface App {
  /** Answers a request. */
  fetch: (request: Request, info?: RequestInfo) => Promise<Response>;
  /** The proxy probes in progress. They end when the hub drains. */
  probes: ProxyProbes;
  /** The bodies that arrive. */
  bodies: BodyRoom;
}

/** Creates the handler of all requests. */
export function createApp(options: AppOptions): App {
  const { hub, access, config, runtime } = options;
  const app = new OpenAPIHono<AppEnv>();
  const routes = createRoutes(config);

  /** Reports an error to the operator if no client caused it. */
  const reportOutage = (c: AppContext, error: Error): void => {
    if (error instanceof RunnelError && !OUTAGES.includes(error.type)) return;
    runtime.report(`Cannot ${c.req.method} ${c.req.path}`, error);
  };

  app.onError((error, c) => {
    reportOutage(c, error);
    if (!(error instanceof RunnelError)) return problem(null);
    // The rest of its body is still read: a client may only read its answer after that.
    const isCutOff = ["draining", "overloaded"].includes(error.type) && error.cause !== undefined;
    return problem(error, isCutOff ? { Connection: "keep-alive" } : {});
  });
  app.notFound((c) => problem(notFound(findNearRoutes(c.req.path, routes))));

  app.use(cors({
    origin: config.allowOrigins === "*" ? "*" : [...config.allowOrigins],
    allowMethods: ["GET", "HEAD", "POST", "DELETE"],
    allowHeaders: [...ALLOWED_HEADERS],
    exposeHeaders: ["Retry-After", "Idempotency-Replayed"],
    // With "*", every page could use the cookie.
    credentials: config.allowOrigins !== "*",
    maxAge: 86_400,
  }));
  app.use(async (c, next) => {
    access.guard(c.req.raw);
    // Deno builds the URL from the Host header, whatever that contains.
    if (!URL.canParse(c.req.url)) {
      throw new RunnelError(
        "malformed-request",
        "Cannot read Host: expected a name or an address, and a port",
      );
    }
    await next();
    // Here and not in a middleware of its own, each of which slows down every publish.
    if (c.res.status >= 400) await showProblem(c);
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

  const addresses = new ClientAddresses(config.trustedProxies, runtime);
  const authenticate = createAuthenticator({ ...options, addresses });
  const probes = new ProxyProbes(runtime, hub.draining);
  const bodies = new BodyRoom(config.maxWaitingBytes);
  const routeOptions = { ...options, addresses, bodies, routes, authenticate, reportOutage };
  // Before the streams, whose path also matches that of the probe.
  app.route("/", pageRoutes({ routes, config, probes }));
  app.route("/", streamRoutes(routeOptions));
  app.route("/", ticketRoutes(routeOptions));
  app.route("/", publishRoutes(routeOptions));
  app.get(routes.healthy.getRoutingPath(), (c) => c.text("ok\n"));
  app.get(routes.ready.getRoutingPath(), async (c) => {
    await hub.ready(READY_TIMEOUT_MS);
    return c.text("ok\n");
  });

  // Described here and not by `app.openapi()`, which would read and validate a
  // body before the handler has authenticated the client.
  for (const route of Object.values(routes)) app.openAPIRegistry.registerPath(route);
  for (const [name, scheme] of Object.entries(SECURITY_SCHEMES)) {
    app.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
  }
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Runnel", version: manifest.version },
  });
  app.get(routes.openapi.getRoutingPath(), async (c) => {
    c.header("Vary", "Accept", { append: true });
    if (!acceptsHtml(c)) return c.json(document);
    await pageHeaders(c, () => Promise.resolve());
    return await page("api/api.html");
  });

  return {
    async fetch(request, info) {
      const { completed, remoteAddr, shutdown } = info ?? {};
      const response = await app.fetch(request, { completed, remoteAddr, shutdown });
      const { headers } = response;
      // Over HTTP/1.1, so that a client leaves its connection before it is closed. A
      // request that is sent at that moment would get a reset instead of an answer.
      if (hub.draining.aborted && !headers.has("Connection")) headers.set("Connection", "close");
      for (const [name, value] of DEFAULT_HEADERS) if (!headers.has(name)) headers.set(name, value);
      // Every sandboxed page and file has the origin "null", by any author.
      if (config.allowOrigins !== "*" && request.headers.get("Origin") === "null") {
        headers.delete("Access-Control-Allow-Credentials");
      }
      return response;
    },
    probes,
    bodies,
  };
}
