/**
 * What the routes have in common.
 *
 * @module
 */

import type { Context, MiddlewareHandler } from "hono";
import type { z } from "zod";
import { type Access, clientAddress, type Tickets } from "../access/mod.ts";
import { RunnelError, type Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { Hub } from "../hub/mod.ts";
import type { Route } from "./openapi.ts";
import { readBody } from "./request_body.ts";

/** What is known of a request beside itself: part of `Deno.ServeHandlerInfo`. */
export interface RequestInfo {
  /** Settles when the answer was sent or cannot be any more. */
  completed?: Promise<unknown> | undefined;
  /** The other end of the connection. */
  remoteAddr?: Deno.Addr | undefined;
}

/** A request on its way. */
export type AppContext = Context<{ Bindings: RequestInfo }>;

/** What the routes work with. */
export interface AppOptions {
  /** The pipelines. */
  hub: Hub;
  /** Who may do what. */
  access: Access;
  /** The tickets. */
  tickets: Tickets;
  /** The settings. */
  config: Config;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
}

/** Answers a route. */
export type On = (route: Route, handler: (c: AppContext) => Response | Promise<Response>) => void;

/** Puts something in front of the routes of a path. */
export type Use = (path: string, handler: MiddlewareHandler) => void;

/** The refusal of an address that leads nowhere. */
export function nothingHere(): RunnelError {
  return new RunnelError("not-found", "Nothing is here. GET / says what there is");
}

/** The media type of a body. */
export function contentType(c: AppContext): string | null {
  return c.req.header("Content-Type") ?? null;
}

/** Reads a body within the limits. */
export async function bodyOf(c: AppContext, { config, runtime }: AppOptions): Promise<Uint8Array> {
  const { maxBodyBytes: maxBytes, bodyTimeoutMs: maxMs } = config;
  return await readBody(c.req.raw, { maxBytes, maxMs, runtime });
}

/** The client's address, by which it is counted. */
export function addressOf(c: AppContext, { trustedProxies }: Config): string | null {
  const { remoteAddr } = c.env;
  const remote = remoteAddr && "hostname" in remoteAddr ? remoteAddr.hostname : undefined;
  return clientAddress(c.req.raw, remote, trustedProxies);
}

/** Validates a part of a request. */
export function check<T>(schema: z.ZodType<T>, value: unknown, name?: string): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  const what = name ?? path.filter((part) => typeof part === "string").join(".");
  throw new RunnelError("malformed-request", `Cannot read ${what}: ${message}`);
}
