/**
 * Descriptions of the routes for OpenAPI, from the schemas that validate.
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

const errors = {
  "4XX": {
    description: "The request was rejected. Nothing changed",
    content: { "application/problem+json": { schema: problem } },
  },
  503: {
    description: "A transient error. Try again after Retry-After seconds",
    content: { "application/problem+json": { schema: problem } },
  },
};

/**
 * Creates the descriptions of all routes, in the order of the document.
 *
 * @param maxHistory Maximum number of events of the history.
 */
export function createRoutes(maxHistory: number) {
  const query = subscriptionQuery(maxHistory);
  return {
    start: createRoute({
      method: "get",
      path: "/",
      summary: "Get started: a page for browsers, a text for other clients",
      responses: { 200: text("A short guide") },
    }),
    viewer: createRoute({
      method: "get",
      path: "/pipelines/{pipeline}",
      summary: "Watch a pipeline live, in a page",
      request: { params: pipelineParams },
      responses: { 200: { description: "The page" }, ...errors },
    }),
    diagnose: createRoute({
      method: "get",
      path: "/diagnose",
      summary: "Check whether a proxy holds events back, in a page",
      responses: { 200: { description: "The page" } },
    }),
    probe: createRoute({
      method: "get",
      // Not a valid pipeline ID, but a path to which a proxy's rules for streams apply.
      path: "/pipelines/diagnose/sse",
      summary: "Get an event stream with a known schedule, for that page",
      request: { query: probeQuery },
      responses: {
        200: {
          description: "The event stream",
          content: { "text/event-stream": { schema: z.string() } },
        },
        ...errors,
      },
    }),
    asset: createRoute({
      method: "get",
      path: "/assets/{folder}/{file}",
      summary: "Get a file that the pages use",
      request: { params: z.object({ folder: z.string(), file: z.string() }) },
      responses: { 200: { description: "The file" }, ...errors },
    }),
    stream: createRoute({
      method: "get",
      path: "/pipelines/{pipeline}/sse",
      summary: "Subscribe to a pipeline: the history, then each new event",
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
        ...errors,
      },
    }),
    history: createRoute({
      method: "get",
      path: "/pipelines/{pipeline}/events",
      summary: "Get the history with times, newest last",
      request: { params: pipelineParams, query: query.omit({ lastEventId: true }) },
      responses: { 200: json(history, "The history"), ...errors },
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
        ...errors,
      },
    }),
    revoke: createRoute({
      method: "delete",
      path: "/pipelines/{pipeline}/tickets",
      summary: "Revoke all tickets of a pipeline, and end the streams that they opened",
      request: { params: pipelineParams },
      responses: { 204: { description: "The tickets are revoked" }, ...errors },
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
      responses: { 202: json(accepted, "The events are durable"), ...errors },
    }),
    ingestRaw: createRoute({
      method: "post",
      path: "/ingest/{pipeline}/{channel}",
      summary: "Publish the body as the payload of one event",
      request: {
        headers: publishHeaders,
        params: pipelineParams.extend({ channel: channelSchema }),
        body: {
          content: { "application/json": { schema: z.unknown() }, "*/*": { schema: z.string() } },
        },
      },
      responses: { 202: json(accepted, "The event is durable"), ...errors },
    }),
    clear: createRoute({
      method: "delete",
      path: "/pipelines/{pipeline}/events",
      summary: "Clear the history",
      request: { params: pipelineParams },
      responses: { 204: { description: "The history is cleared" }, ...errors },
    }),
    delete: createRoute({
      method: "delete",
      path: "/pipelines/{pipeline}",
      summary: "Delete a pipeline with all its records",
      request: { params: pipelineParams },
      responses: { 204: { description: "The pipeline is deleted" }, ...errors },
    }),
    healthy: createRoute({
      method: "get",
      path: "/healthz",
      summary: "Check that the process answers",
      responses: { 200: text("The process answers") },
    }),
    ready: createRoute({
      method: "get",
      path: "/readyz",
      summary: "Check that the log accepts events and the instance accepts work",
      responses: { 200: text("The instance is ready"), ...errors },
    }),
    openapi: createRoute({
      method: "get",
      path: "/openapi.json",
      summary: "Get this document",
      responses: { 200: json(z.unknown(), "The OpenAPI document") },
    }),
  };
}
