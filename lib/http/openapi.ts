/**
 * The routes as OpenAPI describes them, from the schemas that validate.
 *
 * @module
 */

import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import { MAX_CHANNELS, MAX_EVENTS } from "../protocol/mod.ts";
import { channelSchema, eventSchema, idempotencyKeySchema, pipelineSchema } from "./schemas.ts";

/** A route, with its path as the router takes it. */
export type Route = RouteConfig & { getRoutingPath(): string };

/** The routes' names. */
export type RouteName =
  | "ingest"
  | "ingestRaw"
  | "stream"
  | "history"
  | "clear"
  | "ticket"
  | "start"
  | "viewer"
  | "diagnose"
  | "probe"
  | "asset"
  | "healthy"
  | "ready"
  | "openapi";

/** All routes, by their names. */
export type Routes = Record<RouteName, Route>;

/** What opens a stream in its URL. */
export const ticketQuery: z.ZodObject<{ ticket: z.ZodOptional<z.ZodString> }> = z.object({
  ticket: z.string().optional(),
});

/** What a ticket is to be for: all channels if it names none. */
export const ticketBody: z.ZodObject<{
  channels: z.ZodOptional<z.ZodArray<z.ZodString>>;
}> = z.strictObject({
  channels: z.array(channelSchema)
    .min(1, "expected a channel, or no list for all that there may be")
    .max(MAX_CHANNELS, `expected ${MAX_CHANNELS} channels at most`)
    .optional(),
});

/** What names a pipeline in a path. */
export const pipelineParams: z.ZodObject<{ pipeline: z.ZodString }> = z.object({
  pipeline: pipelineSchema,
});

/**
 * What a subscriber may ask for in the query.
 *
 * @param history The most events of the history.
 */
export function subscriptionQuery(history: number): z.ZodObject<{
  channel: z.ZodOptional<z.ZodArray<z.ZodString>>;
  history: z.ZodOptional<z.ZodString>;
  lastEventId: z.ZodOptional<z.ZodString>;
}> {
  return z.object({
    channel: z.array(channelSchema)
      .max(MAX_CHANNELS, `expected ${MAX_CHANNELS} channels at most`)
      .optional(),
    history: z.string()
      .regex(/^\d{1,3}$/, `expected a whole number from 0 to ${history}`)
      .refine((text) => Number(text) <= history, `expected a whole number from 0 to ${history}`)
      .optional(),
    lastEventId: z.string().optional(),
  });
}

function wholeNumber(min: number, max: number) {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.string()
    .regex(/^\d{1,5}$/, expected)
    .refine((text) => Number(text) >= min && Number(text) <= max, expected)
    .optional();
}

/** What a probe may be asked for in the query. */
export const probeQuery: z.ZodObject<{
  every: z.ZodOptional<z.ZodString>;
  bytes: z.ZodOptional<z.ZodString>;
  ask: z.ZodOptional<z.ZodEnum<{ 0: "0"; 1: "1" }>>;
}> = z.object({
  every: wholeNumber(20, 1000),
  bytes: wholeNumber(0, 16_384),
  ask: z.enum(["0", "1"], "expected 1 to ask proxies not to buffer, or 0").optional(),
});

const publishHeaders = z.object({ "Idempotency-Key": idempotencyKeySchema.optional() });

const accepted = z.object({
  events: z.array(z.object({ pipeline: z.string(), id: z.string() })),
});

const history = z.object({
  pipeline: z.string(),
  events: z.array(z.object({
    id: z.string(),
    channel: z.string(),
    time: z.iso.datetime(),
    payload: z.unknown(),
  })),
});

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
});

function json(schema: z.ZodType, description: string) {
  return { description, content: { "application/json": { schema } } };
}

function text(description: string) {
  return { description, content: { "text/plain": { schema: z.string() } } };
}

const refusals = {
  "4XX": {
    description: "The request was refused; nothing changed",
    content: { "application/problem+json": { schema: problem } },
  },
  503: {
    description: "A failure that passes: try again after Retry-After seconds",
    content: { "application/problem+json": { schema: problem } },
  },
};

/**
 * All routes.
 *
 * @param maxHistory The most events of the history.
 */
export function createRoutes(maxHistory: number): Routes {
  const query = subscriptionQuery(maxHistory);
  return {
    ingest: createRoute({
      method: "post",
      path: "/ingest",
      summary: "Publish events to one pipeline, all or none",
      request: {
        headers: publishHeaders,
        body: {
          content: {
            "application/json": {
              schema: z.union([eventSchema, z.array(eventSchema).min(1).max(MAX_EVENTS)]),
            },
            "application/x-ndjson": { schema: z.string() },
          },
        },
      },
      responses: { 202: json(accepted, "The events are durable"), ...refusals },
    }),
    ingestRaw: createRoute({
      method: "post",
      path: "/ingest/{pipeline}/{channel}",
      summary: "Publish the body itself as the payload of one event",
      request: {
        headers: publishHeaders,
        params: pipelineParams.extend({ channel: channelSchema }),
        body: {
          content: { "application/json": { schema: z.unknown() }, "*/*": { schema: z.string() } },
        },
      },
      responses: { 202: json(accepted, "The event is durable"), ...refusals },
    }),
    stream: createRoute({
      method: "get",
      path: "/pipelines/{pipeline}/sse",
      summary: "The event stream: the history, then every new event",
      request: {
        headers: z.object({ "Last-Event-ID": z.string().optional() }),
        params: pipelineParams,
        query,
      },
      responses: {
        200: {
          description: "The event stream",
          content: { "text/event-stream": { schema: z.string() } },
        },
        ...refusals,
      },
    }),
    history: createRoute({
      method: "get",
      path: "/pipelines/{pipeline}/events",
      summary: "The history with times, newest last",
      request: { params: pipelineParams, query: query.omit({ lastEventId: true }) },
      responses: { 200: json(history, "The history"), ...refusals },
    }),
    clear: createRoute({
      method: "delete",
      path: "/pipelines/{pipeline}/events",
      summary: "Clear the history",
      request: { params: pipelineParams },
      responses: { 204: { description: "The history is empty" }, ...refusals },
    }),
    ticket: createRoute({
      method: "post",
      path: "/pipelines/{pipeline}/tickets",
      summary: "Get a URL that opens one stream, for an EventSource, which cannot send a token",
      request: {
        params: pipelineParams,
        body: { content: { "application/json": { schema: ticketBody } } },
      },
      responses: {
        201: json(z.object({ url: z.string(), expires: z.string() }), "The URL"),
        ...refusals,
      },
    }),
    start: createRoute({
      method: "get",
      path: "/",
      summary: "What this is and how to begin: a page for browsers, else a text",
      responses: { 200: text("A short guide") },
    }),
    viewer: createRoute({
      method: "get",
      path: "/pipelines/{pipeline}",
      summary: "A page that shows a pipeline's events live",
      request: { params: pipelineParams },
      responses: { 200: { description: "The page" }, ...refusals },
    }),
    diagnose: createRoute({
      method: "get",
      path: "/diagnose",
      summary: "A page that tells whether something on the way holds events back",
      responses: { 200: { description: "The page" } },
    }),
    probe: createRoute({
      method: "get",
      // Never a pipeline's ID, and where a proxy's rules for the streams apply.
      path: "/pipelines/diagnose/sse",
      summary: "An event stream on a known schedule, for the page above",
      request: { query: probeQuery },
      responses: {
        200: {
          description: "The event stream",
          content: { "text/event-stream": { schema: z.string() } },
        },
        ...refusals,
      },
    }),
    asset: createRoute({
      method: "get",
      path: "/assets/{folder}/{file}",
      summary: "What the pages are made of",
      request: { params: z.object({ folder: z.string(), file: z.string() }) },
      responses: { 200: { description: "The file" }, ...refusals },
    }),
    healthy: createRoute({
      method: "get",
      path: "/healthz",
      summary: "Whether the process answers",
      responses: { 200: text("It does") },
    }),
    ready: createRoute({
      method: "get",
      path: "/readyz",
      summary: "Whether the log takes events and new work is taken",
      responses: { 200: text("It does"), ...refusals },
    }),
    openapi: createRoute({
      method: "get",
      path: "/openapi.json",
      summary: "This description",
      responses: { 200: json(z.unknown(), "An OpenAPI document") },
    }),
  };
}
