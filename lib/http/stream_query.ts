/**
 * The query of a stream.
 *
 * @module
 */

import type { z } from "zod";
import { type AppContext, parseOrThrow } from "./context.ts";
import { rejectMisspelt } from "./query.ts";
import type { joinedStreamQuery, streamQuery } from "./schemas.ts";

/** Parameters of a stream, as its URL has them. */
export interface StreamRequest {
  pipelines: string[];
  channels: string[];
  history?: number | undefined;
  lastEventId?: string | undefined;
  ticket?: string | undefined;
  traces?: boolean;
  waitMs?: number | undefined;
}

type StreamQuery = z.infer<ReturnType<typeof streamQuery>> & { pipeline?: string[] };

/**
 * Reads the query of a stream.
 *
 * @param schema Schema of the query.
 * @throws {RunnelError} `malformed-request`.
 */
export function readStreamQuery(
  c: AppContext,
  schema: ReturnType<typeof streamQuery> | ReturnType<typeof joinedStreamQuery>,
): StreamRequest {
  // Most streams have none, and to find that out by the schemas takes 7 of 100 µs of a join.
  if (!("pipeline" in schema.shape) && !c.req.url.includes("?")) {
    return { pipelines: [], channels: [] };
  }
  rejectMisspelt(Object.keys(c.req.query()), Object.keys(schema.shape));
  const query: StreamQuery = parseOrThrow(schema, {
    ...c.req.query(),
    pipeline: c.req.queries("pipeline") ?? [],
    channel: c.req.queries("channel"),
  });
  const { pipeline = [], channel = [], history, lastEventId, ticket, trace, wait } = query;
  return {
    pipelines: pipeline,
    channels: channel,
    history: historyOf(history),
    lastEventId,
    ticket,
    traces: trace === "1",
    waitMs: wait === undefined ? undefined : Number(wait) * 1000,
  };
}

function historyOf(history: string | undefined): number | undefined {
  if (history === undefined) return undefined;
  return history === "all" ? Infinity : Number(history);
}
