/**
 * Descriptions of the routes for OpenAPI, from the schemas that validate.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Config } from "../config/mod.ts";
import {
  ended,
  errors,
  eventList,
  eventStream,
  json,
  notReady,
  openMetrics,
  probeStream,
  text,
} from "./openapi_answers.ts";
import { describePublishRoutes } from "./openapi_publish.ts";
import { pipelineParams, probeQuery, ticketBody, ticketsBody } from "./schemas.ts";
import { eventsQuery, joinedStreamQuery, streamQuery } from "./subscription_schemas.ts";

/** Descriptions of all routes, by name. */
export type Routes = ReturnType<typeof createRoutes>;

/** Name of the security scheme of tokens in the document. */
export const TOKEN_SCHEME = "token";

/** The security schemes that the routes name. */
export const SECURITY_SCHEMES = {
  [TOKEN_SCHEME]: {
    type: "http",
    scheme: "bearer",
    description: "A publish token or a JSON Web Token, in the header Authorization",
  },
  cookie: {
    type: "apiKey",
    in: "cookie",
    name: "runnel_token",
    description: "A JSON Web Token that covers subscribing to the pipeline",
  },
  ticket: {
    type: "apiKey",
    in: "query",
    name: "ticket",
    description: "The ticket in a URL from POST /pipelines/{pipeline}/tickets or POST /tickets",
  },
} as const;

/**
 * Creates the descriptions of all routes, in the order of the document.
 *
 * @param config Settings that the routes depend on: limits, and who needs a token.
 */
export function createRoutes(
  { history: maxHistory, access }: Pick<Config, "history" | "access">,
) {
  const { metricsToken } = access;
  const forPublishers = access.allowsAnonymous ? {} : { security: [{ [TOKEN_SCHEME]: [] }] };
  const readers = [{ [TOKEN_SCHEME]: [] }, { cookie: [] }];
  const forReaders = access.subscribe === "token" ? { security: readers } : {};
  const forStreams = access.subscribe === "token" ? { security: [...readers, { ticket: [] }] } : {};
  const ticketAnswers = {
    201: json(z.object({ url: z.string(), expires: z.string() }), "The URL"),
    ...errors,
  };
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
        200: probeStream,
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
      ...forStreams,
      method: "get",
      path: "/pipelines/{pipeline}/sse",
      summary: "Subscribe to a pipeline: the history, then each new event",
      request: {
        headers: z.object({ "Last-Event-ID": z.string().optional() }),
        params: pipelineParams,
        query: streamQuery(maxHistory).omit({ ticket: true }),
      },
      responses: { 200: eventStream, 204: ended, ...errors },
    }),
    joinedStream: createRoute({
      ...forStreams,
      method: "get",
      path: "/sse",
      summary: "Subscribe to several pipelines with one stream. The type of an event is " +
        "pipeline/channel, and its ID that of all pipelines",
      request: {
        headers: z.object({ "Last-Event-ID": z.string().optional() }),
        query: joinedStreamQuery(maxHistory).omit({ ticket: true }),
      },
      responses: { 200: eventStream, 204: ended, ...errors },
    }),
    history: createRoute({
      ...forReaders,
      method: "get",
      path: "/pipelines/{pipeline}/events",
      summary: "Get the history with times, newest last, or with after a page of events",
      request: { params: pipelineParams, query: eventsQuery(maxHistory) },
      responses: { 200: eventList, ...errors },
    }),
    ticket: createRoute({
      ...forPublishers,
      method: "post",
      path: "/pipelines/{pipeline}/tickets",
      summary: "Get a URL that opens one stream, for an EventSource, which cannot send a token",
      request: {
        params: pipelineParams,
        body: { content: { "application/json": { schema: ticketBody } } },
      },
      responses: ticketAnswers,
    }),
    tickets: createRoute({
      ...forPublishers,
      method: "post",
      path: "/tickets",
      summary: "Get a URL that opens one stream of several pipelines",
      request: { body: { content: { "application/json": { schema: ticketsBody } } } },
      responses: ticketAnswers,
    }),
    revoke: createRoute({
      ...forPublishers,
      method: "delete",
      path: "/pipelines/{pipeline}/tickets",
      summary: "Revoke all tickets of a pipeline, and end the streams that they opened",
      request: { params: pipelineParams },
      responses: { 204: { description: "The tickets are revoked" }, ...errors },
    }),
    ...describePublishRoutes(forPublishers),
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
      responses: { 200: text("The instance is ready"), ...errors, ...notReady },
    }),
    metrics: createRoute({
      security: metricsToken === null ? [] : [{ [TOKEN_SCHEME]: [] }],
      method: "get",
      path: "/metrics",
      summary: "Get the metrics of the instance, for a scraper",
      responses: { 200: openMetrics, ...errors },
    }),
    llms: createRoute({
      method: "get",
      path: "/llms.txt",
      summary: "Get a page of text on how to publish and subscribe",
      responses: { 200: text("The page") },
    }),
    openapi: createRoute({
      method: "get",
      path: "/openapi.json",
      summary: "Get this document: a page for browsers, JSON for other clients",
      responses: { 200: json(z.unknown(), "The OpenAPI document") },
    }),
  };
}
