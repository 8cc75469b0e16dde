/**
 * The routes as OpenAPI describes them, from the schemas that validate.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { MAX_EVENTS } from "../protocol/mod.ts";
import {
  channelSchema,
  eventSchema,
  pipelineParams,
  probeQuery,
  publishHeaders,
  subscriptionQuery,
  ticketBody,
} from "./schemas.ts";

/** Descriptions of all routes, by name. */
export type Routes = ReturnType<typeof createRoutes>;

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
export function createRoutes(maxHistory: number) {
  const query = subscriptionQuery(maxHistory);
  return {
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
    clear: createRoute({
      method: "delete",
      path: "/pipelines/{pipeline}/events",
      summary: "Clear the history",
      request: { params: pipelineParams },
      responses: { 204: { description: "The history is empty" }, ...refusals },
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
