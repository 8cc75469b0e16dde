/**
 * Schemas of what subscribers ask for: streams, histories, and pages of events.
 *
 * @module
 */

import { z } from "zod";
import { MAX_CHANNELS, parseEventId, readSince } from "../protocol/mod.ts";
import { channelSchema, pipelinesSchema, wholeNumber } from "./schemas.ts";

/** Maximum number of events of a page, and the default. */
export const MAX_LIMIT = 1000;

/** Maximum time of a long poll, in seconds. */
const MAX_WAIT_SECONDS = 60;

const channelsSchema: z.ZodOptional<z.ZodArray<z.ZodString>> = z.array(channelSchema)
  .max(MAX_CHANNELS, `expected ${MAX_CHANNELS} channels at most`)
  .optional()
  .meta({ description: "Only these channels, of the history and of new events" });

/** The time from which on a client wants events. */
const sinceSchema = z.string()
  .refine(
    (text) => readSince(text, 0) !== null,
    "expected a date such as 2026-01-02T03:04:05Z, or a duration such as PT10M or P1D, without " +
      "months and years, of 36500 days at most",
  )
  .optional()
  .meta({
    description: "Only events since a date (RFC 3339), or a duration before now (ISO 8601). All " +
      "of them, unless `history` has a number",
  });

/**
 * Creates the schema for the query of a history.
 *
 * @param maxHistory Maximum number of events of the history.
 */
export function subscriptionQuery(maxHistory: number): z.ZodObject<{
  channel: z.ZodOptional<z.ZodArray<z.ZodString>>;
  history: z.ZodOptional<z.ZodString>;
  since: z.ZodOptional<z.ZodString>;
}> {
  return z.object({
    channel: channelsSchema,
    history: historySchema(maxHistory)
      .meta({
        description: "Maximum number of events of the history: the newest of the channels. `all` " +
          "for all that are kept",
      }),
    since: sinceSchema,
  });
}

/**
 * Creates the schema for the query of a history or of a page of events.
 *
 * @param maxHistory Maximum number of events of the history.
 */
export function eventsQuery(maxHistory: number): z.ZodObject<{
  channel: z.ZodOptional<z.ZodArray<z.ZodString>>;
  history: z.ZodOptional<z.ZodString>;
  since: z.ZodOptional<z.ZodString>;
  after: z.ZodOptional<z.ZodString>;
  limit: z.ZodOptional<z.ZodString>;
  wait: z.ZodOptional<z.ZodString>;
}> {
  return subscriptionQuery(maxHistory).extend({
    after: z.string()
      .refine(
        (text) => text === "0" || parseEventId(text) !== null,
        "expected the ID of an event, as received, or 0",
      )
      .optional()
      .meta({
        description: "A page instead of the history: the events after the one with this ID. 0 " +
          "for the oldest that are kept",
      }),
    limit: wholeNumber({ min: 1, max: MAX_LIMIT, maxDigits: 4 })
      .meta({ description: `Maximum number of events of a page. ${MAX_LIMIT} by default` }),
    wait: wholeNumber({ min: 0, max: MAX_WAIT_SECONDS, maxDigits: 2 })
      .meta({
        description: "An empty page is answered when there is something to tell, or after so " +
          "many seconds: a long poll",
      }),
  });
}

/**
 * Creates the schema for the query of a stream.
 *
 * @param maxHistory Maximum number of events of the history.
 */
export function streamQuery(maxHistory: number): z.ZodObject<{
  channel: z.ZodOptional<z.ZodArray<z.ZodString>>;
  history: z.ZodOptional<z.ZodString>;
  since: z.ZodOptional<z.ZodString>;
  lastEventId: z.ZodOptional<z.ZodString>;
  ticket: z.ZodOptional<z.ZodString>;
  trace: z.ZodOptional<z.ZodEnum<{ 0: "0"; 1: "1" }>>;
  wait: z.ZodOptional<z.ZodString>;
}> {
  return subscriptionQuery(maxHistory).extend({
    lastEventId: z.string().optional(),
    ticket: z.string().optional(),
    trace: z.enum(["0", "1"], "expected 1 to get the traces of events, or 0").optional()
      .meta({ description: "1 for a field traceparent before each event that has one" }),
    wait: wholeNumber({ min: 0, max: MAX_WAIT_SECONDS, maxDigits: 2 })
      .meta({
        description: "The stream ends as soon as it has sent an event, or after so many seconds: " +
          "a long poll, for networks that hold streams back",
      }),
  });
}

/**
 * Creates the schema for the query of a stream of several pipelines.
 *
 * @param maxHistory Maximum number of events of each history.
 */
export function joinedStreamQuery(
  maxHistory: number,
): z.ZodObject<ReturnType<typeof streamQuery>["shape"] & { pipeline: z.ZodArray<z.ZodString> }> {
  return streamQuery(maxHistory).extend({
    pipeline: pipelinesSchema("Add ?pipeline=p_aBcDeF", "For several, repeat the parameter")
      .meta({ description: "The pipelines, whose event IDs are joined in this order" }),
  });
}

function historySchema(max: number): z.ZodOptional<z.ZodString> {
  const expected = `expected a whole number from 0 to ${max}, or all`;
  return z.string()
    .regex(/^(?:\d{1,3}|all)$/, expected)
    .refine((text) => text === "all" || Number(text) <= max, expected)
    .optional();
}
