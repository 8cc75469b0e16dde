/**
 * Schemas of the input of clients, for validation and for the OpenAPI document.
 *
 * @module
 */

import { z } from "zod";
import {
  MAX_CHANNEL_LENGTH,
  MAX_CHANNELS,
  MAX_PIPELINES,
  parseEventId,
  PIPELINE_PATTERN,
  readSince,
  validateChannel,
  validatePipelineId,
} from "../protocol/mod.ts";

/**
 * Maximum length of the last event ID that a ticket stores, in UTF-16 units. An ID of ten
 * pipelines has 289 at most.
 */
const MAX_LAST_EVENT_ID_LENGTH = 320;

/** Maximum number of events of a page, and the default. */
export const MAX_LIMIT = 1000;

/** Maximum time of a long poll, in seconds. */
const MAX_WAIT_SECONDS = 60;

/** A pipeline ID: `p_` and 1 to 62 letters, digits, `_` or `-`. */
export const pipelineSchema: z.ZodString = idSchema();

/**
 * Form of a channel, for the OpenAPI document: no control characters, and none of
 * the names that `validateChannel` reserves. It works with and without the flag `u`.
 */
const CHANNEL_PATTERN = "^(?!runnel\\.)(?!(?:error|open)$)[^\\u0000-\\u001f\\u007f-\\u009f]+$";

/** A channel: 1 to 128 UTF-16 units of well-formed text without control characters. */
export const channelSchema: z.ZodString = z.string("expected a string")
  .check(by(validateChannel))
  .meta({ minLength: 1, maxLength: MAX_CHANNEL_LENGTH, pattern: CHANNEL_PATTERN });

const payloadSchema = z.unknown().refine(
  (payload) => payload !== undefined,
  "expected any JSON value",
);

/** An event as a publisher sends it. */
export const eventSchema: z.ZodType<{ pipeline: string; channel: string; payload: unknown }> = z
  .strictObject(
    { pipeline: pipelineSchema, channel: channelSchema, payload: payloadSchema },
    "expected an object with pipeline, channel and payload",
  );

/** An event of an append, whose pipeline is in the path. */
export const appendedEventSchema: z.ZodType<{ channel: string; payload: unknown }> = z
  .strictObject(
    { channel: channelSchema, payload: payloadSchema },
    "expected an object with channel and payload",
  );

/** An idempotency key: 1 to 255 visible ASCII characters. */
export const idempotencyKeySchema: z.ZodString = z.string().regex(
  /^[!-~]{1,255}$/,
  "expected 1 to 255 visible ASCII characters",
);

/** Headers of a publish. */
export const publishHeaders: z.ZodObject<{
  "Idempotency-Key": z.ZodOptional<z.ZodString>;
  traceparent: z.ZodOptional<z.ZodString>;
}> = z.object({
  "Idempotency-Key": idempotencyKeySchema.optional(),
  // An invalid one is ignored, as its standard asks for.
  traceparent: z.string().optional()
    .meta({ description: "W3C Trace Context, which is stored with the events" }),
});

/** Query of a streaming append. */
export const appendQuery: z.ZodObject<{
  channel: z.ZodOptional<z.ZodString>;
  data: z.ZodOptional<z.ZodEnum<{ auto: "auto"; json: "json"; text: "text" }>>;
  after: z.ZodOptional<z.ZodString>;
}> = z.object({
  channel: channelSchema.optional()
    .meta({ description: "Channel of the events of an event stream that have no type" }),
  data: z.enum(["auto", "json", "text"], "expected auto, json or text").optional()
    .meta({
      description: "How the data of an event stream is read: auto, the default, takes objects, " +
        "arrays and strings as JSON",
    }),
  after: wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER, maxDigits: 16 })
    .meta({ description: "Number of events of the append before those of the body" }),
});

/** Parameters of a path that contains a pipeline. */
export const pipelineParams: z.ZodObject<{ pipeline: z.ZodString }> = z.object({
  pipeline: pipelineSchema,
});

const channelsSchema: z.ZodOptional<z.ZodArray<z.ZodString>> = z.array(channelSchema)
  .max(MAX_CHANNELS, `expected ${MAX_CHANNELS} channels at most`)
  .optional()
  .meta({ description: "Only these channels, of the history and of new events" });

/** The time from which on a client wants events. */
const sinceSchema = z.string()
  .refine(
    (text) => readSince(text, 0) !== null,
    "expected a date such as 2026-01-02T03:04:05Z, or a duration such as PT10M or P1D, without " +
      "months and years",
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

/**
 * Body of a request for a ticket. A ticket without channels is for all channels, and
 * one without a last event ID begins with the history.
 */
export const ticketBody: z.ZodObject<{
  channels: z.ZodOptional<z.ZodArray<z.ZodString>>;
  lastEventId: z.ZodOptional<z.ZodString>;
}> = z.strictObject({
  channels: z.array(channelSchema)
    .min(1, "expected at least one channel. Omit the list for all channels")
    .max(MAX_CHANNELS, `expected ${MAX_CHANNELS} channels at most`)
    .optional(),
  // Of another log, or of no known form, it is answered as in the header: by a gap.
  lastEventId: z.string()
    .max(MAX_LAST_EVENT_ID_LENGTH, `expected ${MAX_LAST_EVENT_ID_LENGTH} characters at most`)
    .optional(),
});

/** Body of a request for a ticket for several pipelines. */
export const ticketsBody: z.ZodObject<
  typeof ticketBody.shape & { pipelines: z.ZodArray<z.ZodString> }
> = ticketBody.extend({ pipelines: pipelinesSchema('Add "pipelines":["p_aBcDeF"]') });

/** Query of a probe. */
export const probeQuery: z.ZodObject<{
  every: z.ZodOptional<z.ZodString>;
  quiet: z.ZodOptional<z.ZodString>;
  bytes: z.ZodOptional<z.ZodString>;
  ask: z.ZodOptional<z.ZodEnum<{ 0: "0"; 1: "1" }>>;
  wait: z.ZodOptional<z.ZodString>;
}> = z.object({
  every: wholeNumber({ min: 20, max: 1000, maxDigits: 5 }),
  // As long as the keep-alives of a stream are apart.
  quiet: wholeNumber({ min: 20, max: 15_000, maxDigits: 5 }),
  bytes: wholeNumber({ min: 0, max: 16_384, maxDigits: 5 }),
  ask: z.enum(["0", "1"], "expected 1 to ask proxies not to buffer, or 0").optional(),
  // In seconds, as that of a stream.
  wait: wholeNumber({ min: 1, max: 60, maxDigits: 2 }),
});

/** Creates the schema for a pipeline ID, with the remedy for several, separated by commas. */
function idSchema(listRemedy?: string): z.ZodString {
  return z.string("expected a string")
    .check(by((id) => {
      const problem = validatePipelineId(id);
      return problem && listRemedy && id.includes(",") ? `${problem}. ${listRemedy}` : problem;
    }))
    .meta({ pattern: PIPELINE_PATTERN.source });
}

/**
 * Creates the schema for the pipelines of one stream: one to ten, none twice.
 *
 * @param remedy Remedy if there are none.
 * @param listRemedy Remedy for several in one value, separated by commas.
 */
function pipelinesSchema(remedy: string, listRemedy?: string): z.ZodArray<z.ZodString> {
  const missing = `expected at least one. ${remedy}`;
  return z.array(idSchema(listRemedy), missing)
    .min(1, missing)
    .max(MAX_PIPELINES, `expected ${MAX_PIPELINES} pipelines at most`)
    .refine((ids) => new Set(ids).size === ids.length, "expected no pipeline twice");
}

function historySchema(max: number): z.ZodOptional<z.ZodString> {
  const expected = `expected a whole number from 0 to ${max}, or all`;
  return z.string()
    .regex(/^(?:\d{1,3}|all)$/, expected)
    .refine((text) => text === "all" || Number(text) <= max, expected)
    .optional();
}

function wholeNumber(
  { min, max, maxDigits }: { min: number; max: number; maxDigits: number },
): z.ZodOptional<z.ZodString> {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.string()
    .regex(new RegExp(`^\\d{1,${maxDigits}}$`), expected)
    .refine((text) => Number(text) >= min && Number(text) <= max, expected)
    .optional();
}

function by(findProblem: (text: string) => string | null): z.core.CheckFn<string> {
  return ({ value, issues }) => {
    const message = findProblem(value);
    if (message) issues.push({ code: "custom", message, input: value });
  };
}
