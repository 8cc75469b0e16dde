/**
 * The HTTP surface: routes, headers, and the answers to failures.
 *
 * @module
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { z } from "zod";
import manifest from "../deno.json" with { type: "json" };
import { ChannelFilter } from "./channel_filter.ts";
import type { Config } from "./config.ts";
import { RunnelError, type RunnelErrorType } from "./errors.ts";
import { formatEventId, type NewEvent } from "./event.ts";
import { encodeRetry } from "./event_stream.ts";
import { guide } from "./guide.ts";
import type { Hub } from "./hub.ts";
import { isPassing, problem } from "./problem.ts";
import { readPublishRequest, readRawEvent } from "./publish_request.ts";
import type { Report } from "./report.ts";
import { readBody } from "./request_body.ts";
import { createRoutes, pipelineParams, type Route, subscriptionQuery } from "./openapi/routes.ts";
import { idempotencyKeySchema } from "./openapi/schemas.ts";

type AppContext = Context<{ Bindings: RequestInfo }>;

/** How long the log may take to show that it is there, in milliseconds. */
const READY_TIMEOUT_MS = 1000;

const STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  // Neither kept nor changed on the way: a proxy that compresses holds events back.
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

/** Failures that the operator is told of, beside those that are not foreseen. */
const OUTAGES: readonly RunnelErrorType[] = ["log-unavailable", "outcome-unknown"];

/** What is known of a request beside itself: part of `Deno.ServeHandlerInfo`. */
export interface RequestInfo {
  /** Settles when the answer was sent or cannot be any more. */
  completed?: Promise<unknown> | undefined;
}

/** What the routes work with. */
export interface AppOptions {
  /** The pipelines. */
  hub: Hub;
  /** The settings. */
  config: Config;
  /** Hears of failures that clients are told nothing of. */
  report: Report;
}

/**
 * Makes the handler of all requests.
 *
 * @param options What it works with.
 */
export function createApp(
  { hub, config, report }: AppOptions,
): (request: Request, info?: RequestInfo) => Promise<Response> {
  const app = new OpenAPIHono<{ Bindings: RequestInfo }>();
  const routes = createRoutes(config.history);
  const query = subscriptionQuery(config.history);

  app.use(cors({
    origin: config.allowOrigins === "*" ? "*" : [...config.allowOrigins],
    allowMethods: ["GET", "HEAD", "POST", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
    exposeHeaders: ["Retry-After", "Idempotency-Replayed"],
    maxAge: 86_400,
  }));
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

  on(routes.ingest, async (c) => {
    const body = await readBody(c.req.raw);
    const { pipeline, events } = readPublishRequest(contentType(c), body);
    return await publish(c, pipeline, events);
  });

  on(routes.ingestRaw, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    const body = await readBody(c.req.raw);
    return await publish(c, pipeline, [readRawEvent(channelOf(c), contentType(c), body)]);
  });

  async function publish(c: AppContext, pipeline: string, events: NewEvent[]): Promise<Response> {
    const header = c.req.header("Idempotency-Key");
    const key = header === undefined
      ? undefined
      : check(idempotencyKeySchema, header, "Idempotency-Key");
    const { epoch, first, count, replayed } = await hub.publish(pipeline, events, key);
    const ids = Array.from({ length: count }, (_, index) => ({
      pipeline,
      id: formatEventId({ epoch, sequence: first + index }),
    }));
    if (replayed) c.header("Idempotency-Replayed", "true");
    return c.json({ events: ids }, 202);
  }

  on(routes.stream, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    const { channel, history, lastEventId } = readQuery(c);
    // A stream for a HEAD would be thrown away unread, and its subscriber kept.
    if (c.req.method === "HEAD") return new Response(null, { headers: STREAM_HEADERS });
    try {
      const stream = await hub.subscribe(pipeline, {
        lastEventId: c.req.header("Last-Event-ID") || lastEventId || undefined,
        history,
        channels: channel,
        completed: c.env.completed,
      });
      return new Response(stream, { headers: STREAM_HEADERS });
    } catch (error) {
      const isEventSource = c.req.header("Accept")?.includes("text/event-stream");
      if (!isEventSource || !(error instanceof RunnelError) || !isPassing(error)) throw error;
      reportOutage(c, error);
      // An EventSource never comes back from an error status, but does from
      // the end of a stream.
      const retryMs = Math.round(config.retryMs * (1 + Math.random()));
      return new Response(encodeRetry(retryMs) as BodyInit, { headers: STREAM_HEADERS });
    }
  });

  on(routes.history, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    const { channel, history } = readQuery(c);
    const { epoch, events } = await hub.history(pipeline, history ?? config.history);
    const filter = new ChannelFilter(channel ?? []);
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

  on(routes.clear, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    await hub.clear(pipeline);
    return c.body(null, 204);
  });

  on(routes.start, (c) => c.text(guide(new URL(c.req.url).origin)));
  on(routes.healthy, (c) => c.text("ok\n"));
  on(routes.ready, async (c) => {
    await hub.ready(READY_TIMEOUT_MS);
    return c.text("ok\n");
  });
  on(routes.openapi, (c) => c.json(document));

  app.notFound(() =>
    problem(new RunnelError("not-found", "Nothing is here. GET / says what there is"))
  );
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
    report(`Cannot ${c.req.method} ${c.req.path}`, error);
  }

  function on(
    route: Route,
    handler: (c: AppContext) => Response | Promise<Response>,
  ): void {
    app.openAPIRegistry.registerPath(route);
    app.on(route.method.toUpperCase(), route.getRoutingPath(), handler);
  }

  function readQuery(c: AppContext) {
    const { history, ...rest } = check(query, {
      ...c.req.query(),
      channel: c.req.queries("channel"),
    });
    return { ...rest, history: history === undefined ? undefined : Number(history) };
  }

  return async (request, info) => await app.fetch(request, { completed: info?.completed });
}

function contentType(c: AppContext): string | null {
  return c.req.header("Content-Type") ?? null;
}

/** The channel in a path. Hono would hand on a broken escape as it is; it is refused here. */
function channelOf(c: AppContext): string {
  try {
    return decodeURIComponent(new URL(c.req.url).pathname.split("/")[3]!);
  } catch (cause) {
    throw new RunnelError(
      "malformed-request",
      "Cannot read path: the channel is not percent-encoded UTF-8",
      { cause },
    );
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, name?: string): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  const what = name ?? path.filter((part) => typeof part === "string").join(".");
  throw new RunnelError("malformed-request", `Cannot read ${what}: ${message}`);
}
