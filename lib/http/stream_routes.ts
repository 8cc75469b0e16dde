/**
 * The route of subscribers: the event stream.
 *
 * @module
 */

import { Hono } from "hono";
import { RunnelError } from "../base/mod.ts";
import { encodeRetry } from "../protocol/mod.ts";
import {
  type AppContext,
  type AppEnv,
  clientOf,
  parseOrThrow,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { answerProbe } from "./probe_route.ts";
import { isTransient } from "./problem.ts";
import type { ProxyProbes } from "./proxy_probes.ts";
import { rejectMisspelt } from "./query.ts";
import { subscriptionQuery, ticketQuery } from "./schemas.ts";
import { streamHeaders } from "./stream_headers.ts";

/** Options for {@linkcode streamRoutes}. */
export interface StreamRouteOptions extends RouteOptions {
  /** The proxy probes, which have the address of a stream. */
  probes: ProxyProbes;
}

/** Creates the route that sends events to subscribers. */
export function streamRoutes(options: StreamRouteOptions): Hono<AppEnv> {
  const { hub, access, config, runtime, routes, headers, probes, reportError } = options;
  const app = new Hono<AppEnv>();
  const query = subscriptionQuery(config.history);

  app.get(routes.stream.getRoutingPath(), async (c) => {
    // Not a route of its own, which the router could not tell from this one.
    if (c.req.path === routes.probe.path) return answerProbe(c, probes);
    const pipeline = pipelineOf(c);
    const { channels, history, lastEventId, ticket, traces } = readQuery(c);
    const requested = { pipelines: [pipeline], channels };
    // Hono runs this for HEAD too and drops the body unread. A stream would then
    // leave its subscriber open and its ticket spent.
    if (c.req.method === "HEAD") {
      await access.authorizeRead(clientOf(c), requested);
      return new Response(null, { headers: streamHeaders(c) });
    }
    try {
      const { address } = c.env;
      // Before the ticket is spent.
      if (ticket) hub.assertCapacity(pipeline, address);
      const { sessions: [session], ...granted } = await access.authorizeStream(clientOf(c), {
        ...requested,
        ticket,
        lastEventIdInUrl: lastEventId || undefined,
      });
      const stream = await hub.subscribe(pipeline, {
        ...granted,
        history,
        traces,
        address,
        notBefore: session?.seen,
        signal: session?.superseded,
        revoked: session?.revoked,
        // Its first event may be long in coming, and without an ID it could not come back.
        announcesStart: session !== undefined,
        onStart: session?.begin,
        onClose: session?.close,
        connectionClosed: c.env.completed,
      });
      return headers.create(c.req.raw, c.env.id, stream, {
        status: 200,
        headers: streamHeaders(c),
      });
    } catch (error) {
      // An EventSource never comes back after it. The client has all events of its run.
      if (error instanceof RunnelError && error.type === "run-ended") return c.body(null, 204);
      const isEventSource = c.req.header("Accept")?.includes("text/event-stream");
      if (!isEventSource || !(error instanceof RunnelError) || !isTransient(error)) throw error;
      reportError(c, error);
      // An EventSource never reconnects after an error status, but does after
      // the end of a stream.
      const retryMs = Math.round(config.retryMs * (1 + runtime.random()));
      return new Response(encodeRetry(retryMs) as BodyInit, { headers: streamHeaders(c) });
    }
  });

  function readQuery(c: AppContext) {
    // Most streams have none, and to find that out by the schemas takes 7 of 100 µs of a join.
    if (!c.req.url.includes("?")) return { channels: [] };
    rejectMisspelt(Object.keys(c.req.query()), [...Object.keys(query.shape), "ticket"]);
    const { history, channel = [], lastEventId, trace } = parseOrThrow(query, {
      ...c.req.query(),
      channel: c.req.queries("channel"),
    });
    const { ticket } = parseOrThrow(ticketQuery, c.req.query());
    return {
      lastEventId,
      ticket,
      traces: trace === "1",
      channels: channel,
      history: history === "all" ? Infinity : history === undefined ? undefined : Number(history),
    };
  }

  return app;
}
