/**
 * The routes that issue tickets and revoke them.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { Hono } from "hono";
import { z } from "zod";
import { type Bearer, isPublishToken, TicketQuota } from "../access/mod.ts";
import { RunnelError } from "../base/mod.ts";
import {
  type AppContext,
  type AppEnv,
  bodyOf,
  originOf,
  parseOrThrow,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { ticketBody, ticketsBody } from "./schemas.ts";

/** Maximum size of the body, in bytes: the longest channels fit, each character escaped. */
const MAX_TICKET_BODY_BYTES = 20 * 1024;

const ticketRequest = z.object({ body: ticketBody });

const ticketsRequest = z.object({ body: ticketsBody });

/** Creates the routes that issue a ticket, as the URL that it opens, and that revoke all. */
export function ticketRoutes(options: RouteOptions): Hono<AppEnv> {
  const { access, tickets, config, runtime, routes, authenticate } = options;
  const { ticketMs, sessionMs, maxTickets: max } = config.access;
  const quota = new TicketQuota({ max, periodMs: ticketMs + sessionMs, runtime });
  const app = new Hono<AppEnv>();

  app.post(routes.ticket.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    const bearer = await authenticate(c);
    const { body } = parseOrThrow(ticketRequest, { body: await readJson(c) });
    const stream = new URL(`/pipelines/${pipeline}/sse`, originOf(c, config));
    return await issue(c, bearer, { stream, pipelines: [pipeline], ...body });
  });

  app.post(routes.tickets.getRoutingPath(), async (c) => {
    const bearer = await authenticate(c);
    const { body } = parseOrThrow(ticketsRequest, { body: await readJson(c) });
    const stream = new URL("/sse", originOf(c, config));
    for (const pipeline of body.pipelines) stream.searchParams.append("pipeline", pipeline);
    return await issue(c, bearer, { stream, ...body });
  });

  app.delete(routes.revoke.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    access.authorizePublish(await authenticate(c), { pipeline, events: null });
    await tickets.revoke(pipeline);
    return c.body(null, 204);
  });

  /** Issues a ticket for the pipelines of a stream, and answers with the URL that opens it. */
  async function issue(
    c: AppContext,
    bearer: Bearer | null,
    { stream: url, pipelines, channels = [], lastEventId }: RequestedTicket,
  ): Promise<Response> {
    const scope = access.authorizeTicket(bearer, { pipelines, channels });
    // A service without secrets is reached from this machine only.
    if (bearer && !isPublishToken(scope.credential)) quota.count(bearer.id, pipelines.length);
    const { secret, redeemBy } = await tickets.issue({ pipelines, ...scope, lastEventId });
    // For a service whose streams are public; the ticket itself knows its channels, and
    // its position, which must not be in a URL that it protects.
    for (const channel of channels) url.searchParams.append("channel", channel);
    if (lastEventId && config.access.subscribe === "public") {
      url.searchParams.set("lastEventId", lastEventId);
    }
    url.searchParams.set("ticket", secret);
    c.header("Cache-Control", "no-store");
    return c.json({ url, expires: new Date(redeemBy) }, 201);
  }

  /** Reads a body, which may be missing. */
  async function readJson(c: AppContext): Promise<unknown> {
    const bytes = await bodyOf(c, options, MAX_TICKET_BODY_BYTES);
    if (!isUtf8(bytes)) {
      throw new RunnelError("malformed-request", "Cannot read body: it is not UTF-8");
    }
    const text = new TextDecoder().decode(bytes);
    if (text.trim() === "") return {};
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new RunnelError("malformed-request", "Cannot read body: it is not JSON", { cause });
    }
  }

  return app;
}

/** A ticket that is requested. */
interface RequestedTicket extends z.infer<typeof ticketsBody> {
  /** URL of the stream that it is to open. */
  stream: URL;
}
