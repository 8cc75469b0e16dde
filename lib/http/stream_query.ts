/**
 * The query of a stream.
 *
 * @module
 */

import type { z } from "zod";
import type { HistoryRange } from "../protocol/mod.ts";
import { type AppContext, parseOrThrow } from "./context.ts";
import { readRange } from "./history_range.ts";
import { readParameters } from "./query.ts";
import type { joinedStreamQuery, streamQuery } from "./subscription_schemas.ts";

/** Parameters of a stream, as its URL has them. */
export interface StreamRequest {
  pipelines: string[];
  channels: string[];
  history?: HistoryRange | undefined;
  lastEventId?: string | undefined;
  ticket?: string | undefined;
  traces?: boolean;
  waitMs?: number | undefined;
}

/**
 * Parameters that may be repeated. Of the last event IDs the last counts: some clients append
 * the newest one to a URL that has one already.
 */
const REPEATED = ["pipeline", "channel", "lastEventId"] as const;

type StreamQuery = z.infer<ReturnType<typeof streamQuery>> & { pipeline?: string[] };

/**
 * Reads the query of a stream.
 *
 * @param schema Schema of the query.
 * @param now The time now, in milliseconds since the Unix epoch.
 * @throws {RunnelError} `malformed-request`.
 */
export function readStreamQuery(
  c: AppContext,
  schema: ReturnType<typeof streamQuery> | ReturnType<typeof joinedStreamQuery>,
  now: number,
): StreamRequest {
  // Most streams have none, and to find that out by the schemas takes 7 of 100 µs of a join.
  if (!("pipeline" in schema.shape) && !c.req.url.includes("?")) {
    return { pipelines: [], channels: [] };
  }
  const parameters = readParameters(c, { once: Object.keys(schema.shape), repeated: REPEATED });
  const query: StreamQuery = parseOrThrow(schema, {
    ...parameters,
    pipeline: parameters["pipeline"] ?? [],
    lastEventId: parameters["lastEventId"]?.at(-1),
  });
  const { pipeline = [], channel = [], lastEventId, ticket, trace, wait } = query;
  return {
    pipelines: pipeline,
    channels: channel,
    history: readRange(query, now),
    lastEventId,
    ticket,
    traces: trace === "1",
    waitMs: wait === undefined ? undefined : Number(wait) * 1000,
  };
}
