/**
 * The routes of subscribers.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import { ChannelFilter, encodeRetry, formatEventId } from "../protocol/mod.ts";
import type { Entrance } from "./authenticate.ts";
import { addressOf, type AppContext, type AppOptions, bodyOf, check, type On } from "./context.ts";
import {
  pipelineParams,
  type Routes,
  subscriptionQuery,
  ticketBody,
  ticketQuery,
} from "./openapi.ts";
import { isPassing } from "./problem.ts";
import { streamHeaders } from "./stream_headers.ts";

/**
 * Adds the routes that show events, and those that let subscribers in.
 *
 * @param on Adds a route.
 * @param routes The routes.
 * @param options What they work with.
 * @param enter Lets those in who write.
 * @param reportOutage Tells the operator of what is no client's fault.
 */
export function addSubscribing(
  on: On,
  routes: Routes,
  options: AppOptions,
  enter: Entrance,
  reportOutage: (c: AppContext, error: Error) => void,
): void {
  const { hub, access, tickets, config } = options;
  const query = subscriptionQuery(config.history);

  on(routes.stream, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    const { channels, history, lastEventId } = readQuery(c);
    const { ticket } = check(ticketQuery, c.req.query());
    const wish = { pipeline, channels };
    // A stream for a HEAD would be thrown away unread, its subscriber kept and its ticket spent.
    if (c.req.method === "HEAD") {
      await access.admit(c.req.raw, wish);
      return new Response(null, { headers: streamHeaders(c) });
    }
    try {
      const address = addressOf(c, config);
      if (ticket) hub.checkRoom(pipeline, address);
      const url = { ticket, lastEventId };
      const { session, ...admission } = await access.admitToStream(c.req.raw, wish, url);
      const stream = await hub.subscribe(pipeline, {
        ...admission,
        lastEventId: c.req.header("Last-Event-ID") || lastEventId || undefined,
        history,
        address,
        seen: session?.seen,
        signal: session?.takenOver,
        onGone: session?.close,
        completed: c.env.completed,
      });
      return new Response(stream, { headers: streamHeaders(c) });
    } catch (error) {
      const isEventSource = c.req.header("Accept")?.includes("text/event-stream");
      if (!isEventSource || !(error instanceof RunnelError) || !isPassing(error)) throw error;
      reportOutage(c, error);
      // An EventSource never comes back from an error status, but does from
      // the end of a stream.
      const retryMs = Math.round(config.retryMs * (1 + options.runtime.random()));
      return new Response(encodeRetry(retryMs) as BodyInit, { headers: streamHeaders(c) });
    }
  });

  on(routes.history, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    const { channels, history } = readQuery(c);
    const admission = await access.admit(c.req.raw, { pipeline, channels });
    const { epoch, events } = await hub.history(pipeline, history ?? config.history);
    const filter = new ChannelFilter(admission.channels);
    // The payloads are JSON text already, and stay as they were sent.
    const parts: (string | Uint8Array)[] = [];
    for (const { sequence, channel, time, payload } of events) {
      if (!filter.keeps(channel)) continue;
      const id = formatEventId({ epoch, sequence });
      const rest = JSON.stringify({ id, channel, time: new Date(time) });
      parts.push(parts.length > 0 ? "," : "", `${rest.slice(0, -1)},"payload":`, payload, "}");
    }
    const body = new Blob([`{"pipeline":"${pipeline}","events":[`, ...parts, "]}"] as BlobPart[]);
    return new Response(body, {
      headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
    });
  });

  on(routes.ticket, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    const bearer = await enter(c);
    const { channels } = await readTicketBody(c);
    const scope = access.ticketScope(bearer, { pipeline, channels });
    const { secret, spendBy } = await tickets.issue({ pipeline, ...scope });
    const url = new URL(`/pipelines/${pipeline}/sse`, originOf(c));
    // For a service whose streams are public; the ticket itself knows all of its own.
    for (const channel of channels) url.searchParams.append("channel", channel);
    url.searchParams.set("ticket", secret);
    c.header("Cache-Control", "no-store");
    return c.json({ url, expires: new Date(spendBy) }, 201);
  });

  async function readTicketBody(c: AppContext): Promise<{ channels: string[] }> {
    const text = new TextDecoder().decode(await bodyOf(c, options));
    if (text.trim() === "") return { channels: [] };
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new RunnelError("malformed-request", "Cannot read body: it is not JSON", { cause });
    }
    return { channels: check(ticketBody, value, "body").channels ?? [] };
  }

  /** Where the client found us: a proxy in front may end its TLS. */
  function originOf(c: AppContext): string {
    const { protocol, host } = new URL(c.req.url);
    const forwarded = config.trustedProxies > 0 ? c.req.header("X-Forwarded-Proto") : undefined;
    return `${/^https?$/.test(forwarded ?? "") ? `${forwarded}:` : protocol}//${host}`;
  }

  function readQuery(c: AppContext) {
    const { history, channel = [], lastEventId } = check(query, {
      ...c.req.query(),
      channel: c.req.queries("channel"),
    });
    return {
      lastEventId,
      channels: channel,
      history: history === undefined ? undefined : Number(history),
    };
  }
}
