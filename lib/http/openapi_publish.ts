/**
 * Descriptions of the routes of publishers for OpenAPI.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { MAX_EVENTS } from "../protocol/mod.ts";
import { accepted, appended, appendErrors, errors, json } from "./openapi_answers.ts";
import {
  appendQuery,
  channelSchema,
  eventSchema,
  pipelineParams,
  publishHeaders,
} from "./schemas.ts";

/**
 * Creates the descriptions of the routes that publish to pipelines, end them, clear them and
 * delete them.
 *
 * @param forPublishers Security of the routes, if publishers need a token.
 */
export function describePublishRoutes(forPublishers: { security?: Record<string, string[]>[] }) {
  return {
    ingest: createRoute({
      ...forPublishers,
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
      ...forPublishers,
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
    append: createRoute({
      ...forPublishers,
      method: "post",
      path: "/pipelines/{pipeline}/events",
      summary: "Append events while they happen, in a body that stays open",
      request: {
        headers: publishHeaders,
        params: pipelineParams,
        query: appendQuery,
        body: {
          content: {
            "application/x-ndjson": { schema: z.string() },
            "text/event-stream": { schema: z.string() },
          },
        },
      },
      responses: {
        200: json(appended, "The body has ended, and its events are durable"),
        ...appendErrors,
      },
    }),
    standing: createRoute({
      ...forPublishers,
      method: "get",
      path: "/pipelines/{pipeline}/append",
      summary: "Get how much of an append with an Idempotency-Key stands",
      request: { headers: publishHeaders.omit({ traceparent: true }), params: pipelineParams },
      responses: { 200: json(appended, "What stands"), ...errors },
    }),
    end: createRoute({
      ...forPublishers,
      method: "post",
      path: "/pipelines/{pipeline}/end",
      summary: "End the run of a pipeline: its streams end, and no event follows",
      request: { headers: publishHeaders, params: pipelineParams },
      responses: { 202: json(accepted, "The end is durable"), ...errors },
    }),
    clear: createRoute({
      ...forPublishers,
      method: "delete",
      path: "/pipelines/{pipeline}/events",
      summary: "Clear the history",
      request: { params: pipelineParams },
      responses: { 204: { description: "The history is cleared" }, ...errors },
    }),
    delete: createRoute({
      ...forPublishers,
      method: "delete",
      path: "/pipelines/{pipeline}",
      summary: "Delete a pipeline with all its records",
      request: { params: pipelineParams },
      responses: { 204: { description: "The pipeline is deleted" }, ...errors },
    }),
  };
}
