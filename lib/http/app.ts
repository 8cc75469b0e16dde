/**
 * The HTTP interface: middleware that all routes share, and responses to errors.
 *
 * @module
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import { methodNotAllowed } from "hono/method-not-allowed";
import manifest from "../../deno.json" with { type: "json" };
import { ClientAddresses } from "../access/mod.ts";
import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import { createAuthenticator } from "./authenticate.ts";
import { BodyRoom } from "./body_room.ts";
import { CommonHeaders } from "./common_headers.ts";
import {
  type AppContext,
  type AppEnv,
  type AppOptions,
  isOfCanary,
  notFound,
  textAnswer,
} from "./context.ts";
import { acceptsHtml, page, pageHeaders, showProblem } from "./html_answers.ts";
import { findNearRoutes } from "./near_routes.ts";
import { createRoutes, SECURITY_SCHEMES } from "./openapi.ts";
import { pageRoutes } from "./page_routes.ts";
import { metricsRoute } from "./metrics_route.ts";
import { problem, refusalOf } from "./problem.ts";
import { ProxyProbes } from "./proxy_probes.ts";
import { publishRoutes } from "./publish_routes.ts";
import { RequestEnv, type RequestInfo } from "./request_env.ts";
import { streamRoutes } from "./stream_routes.ts";
import { ticketRoutes } from "./ticket_routes.ts";

/** Maximum time that the log may take to prove that it accepts events, in milliseconds. */
const READY_TIMEOUT_MS = 1000;

/** Errors that are reported to the operator, in addition to unexpected ones. */
const OUTAGES: readonly RunnelErrorType[] = [
  "log-unavailable",
  "outcome-unknown",
  "keys-unavailable",
];

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
  const { hub, access, config, runtime, metrics } = options;
  const app = new OpenAPIHono<AppEnv>();
  const routes = createRoutes(config);
  const isUrl = createUrlCheck();

  /** Counts an error, and reports it to the operator if no client caused it. */
  const reportOutage = (c: AppContext, error: Error): void => {
    if (!isOfCanary(c, options)) metrics.refusals.add(refusalOf(error));
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
  // Outside of the middleware, each of which slows down every publish.
  const checkMethod = methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) =>
      problem(
        new RunnelError(
          "method-not-allowed",
          `Cannot ${c.req.method} here: expected ${methods.join(", ")}`,
        ),
        { Allow: methods.join(", ") },
      ),
  });
  app.notFound(async (c) => {
    await checkMethod(c, () => {
      c.res = problem(notFound(findNearRoutes(c.req.path, routes)));
      return Promise.resolve();
    });
    metrics.refusals.add(c.res.status === 405 ? "method-not-allowed" : "not-found");
    return c.res;
  });

  app.use(async (c, next) => {
    access.guard(c.req.raw);
    // Deno builds the URL from the Host header, whatever that contains.
    if (!isUrl(c.req.url)) {
      throw new RunnelError(
        "malformed-request",
        "Cannot read Host: expected a name or an address, and a port",
      );
    }
    await next();
    if (c.res.status >= 400) await showProblem(c);
  });

  const addresses = new ClientAddresses(config.trustedProxies, runtime);
  const authenticate = createAuthenticator(options);
  const probes = new ProxyProbes(runtime, hub.draining);
  const bodies = new BodyRoom(config.maxWaitingBytes);
  const headers = new CommonHeaders(config, hub.draining);
  const routeOptions = { ...options, headers, bodies, routes, authenticate, reportOutage };
  // Before the streams, whose path also matches that of the probe.
  app.route("/", pageRoutes({ routes, config, probes }));
  app.route("/", streamRoutes(routeOptions));
  app.route("/", ticketRoutes(routeOptions));
  app.route("/", publishRoutes(routeOptions));
  app.route("/", metricsRoute(routeOptions));
  app.get(routes.healthy.getRoutingPath(), () => textAnswer("ok\n"));
  app.get(routes.ready.getRoutingPath(), async () => {
    await hub.ready(READY_TIMEOUT_MS);
    return textAnswer("ok\n");
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
    async fetch(request, info = {}) {
      const env = new RequestEnv(request, info, addresses);
      const isPreflight = request.method === "OPTIONS";
      const response = isPreflight ? headers.preflight() : await app.fetch(request, env);
      headers.addTo(response, request);
      return response;
    },
    probes,
    bodies,
  };
}

/**
 * Whether a URL that Deno built is one. Each that begins like one that was parsed is, since
 * only a host can be invalid; most requests name the same one, and parsing takes 2 of 40 µs
 * of a publish.
 */
function createUrlCheck(): (url: string) => boolean {
  let parsed: string | null = null;
  return (url) => {
    if (parsed !== null && url.startsWith(parsed)) return true;
    if (!URL.canParse(url)) return false;
    parsed = `${new URL(url).origin}/`;
    return true;
  };
}
