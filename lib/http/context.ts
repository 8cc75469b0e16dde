/**
 * Shared types and request helpers of the routes.
 *
 * @module
 */

import type { Context } from "hono";
import type { z } from "zod";
import type {
  Access,
  Bearer,
  CanaryIdentity,
  Client,
  RateLimiter,
  Tickets,
} from "../access/mod.ts";
import { RunnelError, type Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { Hub } from "../hub/mod.ts";
import { isCanaryPipeline, validatePipelineId } from "../protocol/mod.ts";
import type { Metrics, Snapshot } from "../telemetry/mod.ts";
import type { BodyRoom } from "./body_room.ts";
import type { CommonHeaders } from "./common_headers.ts";
import type { Routes } from "./openapi.ts";
import { readBody } from "./request_body.ts";
import type { RequestEnv } from "./request_env.ts";
import { pipelineParams, publishHeaders } from "./schemas.ts";

/** Environment of the apps: the type of `c.env`. */
export interface AppEnv {
  Bindings: RequestEnv;
}

/** Context of a request. */
export type AppContext = Context<AppEnv>;

/** Options for {@linkcode createApp}. */
export interface AppOptions {
  /** Hub that the routes publish to and subscribe to. */
  hub: Hub;
  /** Authenticates and authorizes requests. */
  access: Access;
  /** Issues tickets. */
  tickets: Tickets;
  /** Settings of the service. */
  config: Config;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** Counts publishes and refusals. */
  metrics: Pick<Metrics, "publishes" | "events" | "payload" | "publishDuration" | "refusals">;
  /** Reads the metrics of all isolates of the instance. */
  gather: () => Promise<Snapshot>;
  /** Identity of the instance's own canary; `null` without one. */
  canary: CanaryIdentity | null;
}

/** Options for each group of routes. */
export interface RouteOptions extends AppOptions {
  /** Descriptions of all routes. Only their paths are used here. */
  routes: Routes;
  /** Headers that all responses have. */
  headers: CommonHeaders;
  /** Room for the bodies that arrive. */
  bodies: BodyRoom;
  /** Limits what clients write in a second. */
  rate: RateLimiter;
  /** Authenticates a client that writes, and counts the request. */
  authenticate: (c: AppContext) => Promise<Bearer | null>;
  /**
   * Counts an error, and reports it to the operator; one that a client caused at the
   * level `debug`.
   */
  reportError: (c: AppContext, error: Error) => void;
}

/** Creates the error for an address without a route. It names routes that are near. */
export function notFound(near: readonly string[] = []): RunnelError {
  const others = near.length > 0
    ? `Near it are ${near.join(", ")}`
    : "See GET /openapi.json for all routes";
  return new RunnelError("not-found", `No such route. ${others}`);
}

/** Returns the media type of a request body, with its parameters. */
export function contentType(c: AppContext): string | null {
  return c.req.header("Content-Type") ?? null;
}

/**
 * Reads a request body within the limits of the settings.
 *
 * @param maxBytes Maximum size of the body, in bytes.
 */
export function bodyOf(
  c: AppContext,
  { config, runtime, hub, bodies }: RouteOptions,
  maxBytes: number = config.maxBodyBytes,
): Promise<Uint8Array> {
  const { address } = c.env;
  return readBody(c.req.raw, {
    maxBytes,
    maxMs: config.bodyTimeoutMs,
    runtime,
    reserve: (bytes, isMore) => bodies.reserve(address, bytes, isMore),
    draining: hub.draining,
    shutdown: c.env.shutdown,
  });
}

/** Whether a request is one of the instance's own canary. */
export function isOfCanary(request: Request, { canary }: Pick<AppOptions, "canary">): boolean {
  return canary !== null && request.headers.get("Authorization") === `Bearer ${canary.token}`;
}

/**
 * Returns the pipeline in the path of a request.
 *
 * @throws {RunnelError} `malformed-request` if it is none.
 */
export function pipelineOf(c: AppContext): string {
  const pipeline = c.req.param("pipeline");
  // The schema takes 2 of 100 µs of a join, and has the message for one that is invalid.
  if (pipeline !== undefined && validatePipelineId(pipeline) === null) return pipeline;
  return parseOrThrow(pipelineParams, { pipeline }).pipeline;
}

/**
 * Asserts that a client may publish to a pipeline, as far as its name tells.
 *
 * @throws {RunnelError} `forbidden` for the pipelines of canaries.
 */
export function assertNotReserved(
  c: AppContext,
  pipeline: string,
  options: Pick<AppOptions, "canary">,
): void {
  if (!isCanaryPipeline(pipeline) || isOfCanary(c.req.raw, options)) return;
  throw new RunnelError(
    "forbidden",
    `Cannot publish to "${pipeline}": the name is reserved for the service. Use another one`,
  );
}

/** Returns the idempotency key, if the publisher sent one. */
export function keyOf(c: AppContext): string | undefined {
  const key = c.req.header("Idempotency-Key");
  // Most have none, and need no validation.
  if (key === undefined) return undefined;
  return parseOrThrow(publishHeaders, { "Idempotency-Key": key })["Idempotency-Key"];
}

/** Returns the client of a request, for its authentication. */
export function clientOf(c: AppContext): Client {
  return { headers: c.req.raw.headers, address: c.env.address };
}

/**
 * Returns the origin of a request as its client knows it. TLS ends at a proxy, which says so with
 * `X-Forwarded-Proto`; without a trusted proxy, the header is the client's own and is ignored.
 */
export function originOf(c: AppContext, { trustedProxies }: Config): string {
  const { protocol, host } = new URL(c.req.url);
  if (trustedProxies === 0) return `${protocol}//${host}`;
  // Most proxies replace the header; of those that append to it, the first has the client.
  const schemes = (c.req.header("X-Forwarded-Proto") ?? "").split(",")
    .map((scheme) => scheme.trim().toLowerCase());
  const scheme = schemes.at(-trustedProxies) ?? schemes[0]!;
  return `${/^https?$/.test(scheme) ? `${scheme}:` : protocol}//${host}`;
}

/** Creates the response with a text. */
export function textAnswer(text: string): Response {
  return new Response(text, { headers: { "Content-Type": "text/plain; charset=UTF-8" } });
}

/** Validates named parts of a request. The error names the first part that is invalid. */
export function parseOrThrow<T>(schema: z.ZodType<T>, parts: unknown): T {
  const { success, data, error } = schema.safeParse(parts);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  const name = path.filter((part) => typeof part === "string").join(".");
  throw new RunnelError("malformed-request", `Cannot read ${name}: ${message}`);
}
