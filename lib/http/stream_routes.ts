/**
 * The routes of subscribers: the streams of one pipeline and of several.
 *
 * @module
 */

import { Hono } from "hono";
import type { OpenSession } from "../access/mod.ts";
import { RunnelError } from "../base/mod.ts";
import type { Subscription } from "../hub/mod.ts";
import { encodeRetry } from "../protocol/mod.ts";
import {
  type AppContext,
  type AppEnv,
  clientOf,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { answerProbe } from "./probe_route.ts";
import { isTransient } from "./problem.ts";
import type { ProxyProbes } from "./proxy_probes.ts";
import { joinedStreamQuery, streamQuery } from "./subscription_schemas.ts";
import { acceptsLines, streamHeaders } from "./stream_headers.ts";
import { readStreamQuery, type StreamRequest } from "./stream_query.ts";

/** Options for {@linkcode streamRoutes}. */
export interface StreamRouteOptions extends RouteOptions {
  /** The proxy probes, which have the address of a stream. */
  probes: ProxyProbes;
}

/** Creates the routes that send events to subscribers. */
export function streamRoutes(options: StreamRouteOptions): Hono<AppEnv> {
  const { hub, access, config, runtime, routes, headers, probes, reportError } = options;
  const { clock } = runtime;
  const app = new Hono<AppEnv>();
  const ofStream = streamQuery(config.history);
  const ofJoinedStream = joinedStreamQuery(config.history);

  app.get(routes.stream.getRoutingPath(), (c) => {
    // Not a route of its own, which the router could not tell from this one.
    if (c.req.path === routes.probe.path) return answerProbe(c, probes);
    return answerStream(c, pipelineOf(c), readStreamQuery(c, ofStream, clock.now()));
  });

  app.get(routes.joinedStream.getRoutingPath(), (c) => {
    const { pipelines, ...request } = readStreamQuery(c, ofJoinedStream, clock.now());
    return answerStream(c, pipelines, request);
  });

  /** Answers with the stream of one pipeline, or of several in an array. */
  async function answerStream(
    c: AppContext,
    pipelines: string | string[],
    { channels, ticket, lastEventId, ...request }: Omit<StreamRequest, "pipelines">,
  ): Promise<Response> {
    const ids = [pipelines].flat();
    const requested = { pipelines: ids, channels };
    // Hono runs this for HEAD too and drops the body unread. A stream would then
    // leave its subscriber open and its ticket spent.
    if (c.req.method === "HEAD") {
      await access.authorizeRead(clientOf(c), requested);
      return new Response(null, { headers: headersOf(c) });
    }
    try {
      const { address } = c.env;
      // Before the ticket is spent.
      if (ticket) hub.assertCapacity(ids, address);
      const { sessions, ...granted } = await access.authorizeStream(clientOf(c), {
        ...requested,
        ticket,
        lastEventIdInUrl: lastEventId || undefined,
      });
      const body = await hub.subscribe(pipelines, {
        ...granted,
        ...request,
        ...sessions.length > 0 ? inSessions(sessions) : {},
        asLines: acceptsLines(c),
        address,
        connectionClosed: c.env.completed,
      });
      return headers.create(c.req.raw, c.env.id, body, {
        status: 200,
        headers: headersOf(c),
      });
    } catch (error) {
      // An EventSource never comes back after it. The client has all events of its run.
      if (error instanceof RunnelError && error.type === "run-ended") return c.body(null, 204);
      const accept = c.req.header("Accept") ?? "";
      // A client that names problem documents knows what to do with them.
      const isEventSource = accept.includes("text/event-stream") &&
        !accept.includes("application/problem+json");
      if (!isEventSource || !(error instanceof RunnelError) || !isTransient(error)) throw error;
      reportError(c, error);
      // An EventSource never reconnects after an error status, but does after
      // the end of a stream.
      const retryMs = Math.round(config.retryMs * (1 + runtime.random()));
      return new Response(encodeRetry(retryMs) as BodyInit, { headers: headersOf(c) });
    }
  }

  /** Returns the headers of an answer. A page cannot see its cookie, but whether it counts. */
  function headersOf(c: AppContext): Record<string, string> {
    const own = streamHeaders(c);
    return access.isByCookie(c.req.raw.headers) ? { ...own, Vary: "Cookie" } : own;
  }

  return app;
}

/** Returns the part of a subscription that is of the sessions of its ticket. */
function inSessions(sessions: readonly OpenSession[]): Partial<Subscription> {
  return {
    notBefore: sessions.map(({ seen }) => seen),
    signal: AbortSignal.any(sessions.map(({ superseded }) => superseded)),
    revoked: AbortSignal.any(sessions.map(({ revoked }) => revoked)),
    // Its first event may be long in coming, and without an ID it could not come back.
    announcesStart: true,
    onStart: (starts) =>
      Promise.all(sessions.map((session, index) => session.begin(starts[index]!))),
    onClose: () => {
      for (const session of sessions) session.close();
    },
  };
}
