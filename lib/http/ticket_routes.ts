/**
 * The routes that issue tickets and revoke them.
 *
 * @module
 */

import { Hono } from "hono";
import { z } from "zod";
import { isPublishToken, TicketQuota } from "../access/mod.ts";
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
import { ticketBody } from "./schemas.ts";

/** Maximum size of the body, in bytes: the longest channels fit, each character escaped. */
const MAX_TICKET_BODY_BYTES = 16 * 1024;

const ticketRequest = z.object({ body: ticketBody });

/** Creates the routes that issue a ticket, as the URL that it opens, and that revoke all. */
export function ticketRoutes(options: RouteOptions): Hono<AppEnv> {
  const { access, tickets, config, runtime, routes, authenticate } = options;
  const { ticketMs, sessionMs, maxTickets: max } = config.access;
  const quota = new TicketQuota({ max, periodMs: ticketMs + sessionMs, runtime });
  const app = new Hono<AppEnv>();

  app.post(routes.ticket.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    const bearer = await authenticate(c);
    const { channels = [], lastEventId } = await readTicketBody(c);
    const scope = access.authorizeTicket(bearer, { pipelines: [pipeline], channels });
    // A service without secrets is reached from this machine only.
    if (bearer && !isPublishToken(scope.credential)) quota.count(bearer.id);
    const { secret, redeemBy } = await tickets.issue({
      pipelines: [pipeline],
      ...scope,
      lastEventId,
    });
    const url = new URL(`/pipelines/${pipeline}/sse`, originOf(c, config));
    // For a service whose streams are public; the ticket itself knows its channels, and
    // its position, which must not be in a URL that it protects.
    for (const channel of channels) url.searchParams.append("channel", channel);
    if (lastEventId && config.access.subscribe === "public") {
      url.searchParams.set("lastEventId", lastEventId);
    }
    url.searchParams.set("ticket", secret);
    c.header("Cache-Control", "no-store");
    return c.json({ url, expires: new Date(redeemBy) }, 201);
  });

  app.delete(routes.revoke.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    access.authorizePublish(await authenticate(c), { pipeline, events: null });
    await tickets.revoke(pipeline);
    return c.body(null, 204);
  });

  async function readTicketBody(c: AppContext): Promise<z.infer<typeof ticketBody>> {
    const text = new TextDecoder().decode(await bodyOf(c, options, MAX_TICKET_BODY_BYTES));
    if (text.trim() === "") return {};
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (cause) {
      throw new RunnelError("malformed-request", "Cannot read body: it is not JSON", { cause });
    }
    return parseOrThrow(ticketRequest, { body }).body;
  }

  return app;
}
