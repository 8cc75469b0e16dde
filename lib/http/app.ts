/**
 * The HTTP interface: middleware that all routes share, and responses to errors.
 *
 * @module
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { ClientAddresses } from "../access/mod.ts";
import { RunnelError } from "../base/mod.ts";
import { AccessLog } from "./access_log.ts";
import { appendRoutes } from "./append_routes.ts";
import { createAuthenticator, createWriteRate } from "./authenticate.ts";
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
import { addDocumentRoute } from "./document_route.ts";
import { historyRoutes } from "./history_routes.ts";
import { showProblem } from "./html_answers.ts";
import { createErrorReporter } from "./error_reports.ts";
import { findNearRoutes } from "./near_routes.ts";
import { createRoutes } from "./openapi.ts";
import { pageRoutes } from "./page_routes.ts";
import { metricsRoute } from "./metrics_route.ts";
import { problem, refusalOf } from "./problem.ts";
import { ProxyProbes } from "./proxy_probes.ts";
import { publishRoutes } from "./publish_routes.ts";
import { findFailingPart, ReadinessLog } from "./readiness.ts";
import { RequestEnv, type RequestInfo } from "./request_env.ts";
import { createDescriber } from "./request_facts.ts";
import { RequestIds } from "./request_ids.ts";
import { streamRoutes } from "./stream_routes.ts";
import { ticketRoutes } from "./ticket_routes.ts";

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
  // The other router of hono takes 6 of 100 µs of a join. This one throws for a path that it
  // cannot tell from another by one expression.
  const app = new OpenAPIHono<AppEnv>({ router: new RegExpRouter() });
  const routes = createRoutes(config);
  const isUrl = createUrlCheck();

  const describe = createDescriber(routes);
  const writeError = createErrorReporter(config, runtime, describe);

  /** Counts an error, and reports it to the operator. */
  const reportError = (c: AppContext, error: Error): void => {
    if (!isOfCanary(c.req.raw, options)) metrics.refusals.add(refusalOf(error));
    writeError(c, error);
  };

  const answerError = (error: Error, c: AppContext): Promise<Response> => {
    reportError(c, error);
    const { id: requestId } = c.env;
    if (!(error instanceof RunnelError)) return showProblem(c, problem(null, { requestId }));
    // The rest of its body is still read: a client may only read its answer after that.
    const isCutOff = ["draining", "overloaded"].includes(error.type) && error.cause !== undefined;
    return showProblem(
      c,
      problem(error, { requestId }, isCutOff ? { Connection: "keep-alive" } : {}),
    );
  };
  app.onError(answerError);
  // Outside of the middleware, each of which slows down every publish.
  const checkMethod = methodNotAllowed({
    app,
    onMethodNotAllowed(c, methods) {
      const allowed = methods.join(", ");
      const error = new RunnelError(
        "method-not-allowed",
        `Cannot ${c.req.method} here: expected ${allowed}`,
      );
      reportError(c, error);
      return problem(error, { requestId: c.env.id }, { Allow: allowed });
    },
  });
  app.notFound(async (c) => {
    const error = notFound(findNearRoutes(c.req.path, routes));
    await checkMethod(c, () => {
      c.res = problem(error, { requestId: c.env.id });
      return Promise.resolve();
    });
    // Otherwise the route takes other methods.
    if (c.res.status === 404) reportError(c, error);
    return await showProblem(c, c.res);
  });

  /** Throws for a request that no route is asked to answer. */
  const guard = (request: Request): void => {
    access.guard(request);
    // Deno builds the URL from the Host header, whatever that contains.
    if (!isUrl(request.url)) {
      throw new RunnelError(
        "malformed-request",
        "Cannot read Host: expected a name or an address, and a port",
      );
    }
  };
  // Not a middleware, which takes 4 of 100 µs of a join.
  const refusing = new Hono<AppEnv>();
  refusing.onError(answerError);
  refusing.all("*", ({ env }) => {
    throw env.refusal;
  });

  const addresses = new ClientAddresses(config.trustedProxies, runtime);
  const ids = new RequestIds(config, runtime);
  const accessLog = config.accessLog === "on" ? new AccessLog(runtime, describe) : null;
  const rate = createWriteRate(config, runtime);
  const authenticate = createAuthenticator({ access, rate });
  const probes = new ProxyProbes(runtime, hub.draining);
  const bodies = new BodyRoom(config.maxWaitingBytes);
  const readiness = new ReadinessLog(runtime);
  const headers = new CommonHeaders(config, hub.draining);
  const routeOptions = { ...options, headers, bodies, routes, rate, authenticate, reportError };
  app.route("/", pageRoutes(routeOptions));
  app.route("/", streamRoutes({ ...routeOptions, probes }));
  app.route("/", historyRoutes(routeOptions));
  app.route("/", ticketRoutes(routeOptions));
  app.route("/", publishRoutes(routeOptions));
  app.route("/", appendRoutes(routeOptions));
  app.route("/", metricsRoute(routeOptions));
  app.get(routes.healthy.getRoutingPath(), () => textAnswer("ok\n"));
  app.get(routes.ready.getRoutingPath(), async (c) => {
    const failing = await findFailingPart(hub, c.env);
    readiness.probed(failing);
    if (!failing) return textAnswer("ok\n");
    const { part, error } = failing;
    return await showProblem(c, problem(error, { requestId: c.env.id, part }));
  });

  addDocumentRoute(app, routes);

  function answer(request: Request, env: RequestEnv): Response | Promise<Response> {
    try {
      guard(request);
    } catch (error) {
      env.refusal = error;
      return refusing.fetch(request, env);
    }
    return app.fetch(request, env);
  }

  return {
    async fetch(request, info = {}) {
      const env = new RequestEnv(request, info, { addresses, ids });
      const isLogged = accessLog !== null && !isOfCanary(request, options);
      const end = isLogged ? accessLog.begin(request, env) : null;
      const isPreflight = request.method === "OPTIONS";
      const response = isPreflight ? headers.preflight() : await answer(request, env);
      headers.addTo(response, request, env.id);
      end?.(response.status);
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
