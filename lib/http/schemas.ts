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
  PIPELINE_PATTERN,
  validateChannel,
  validatePipelineId,
} from "../protocol/mod.ts";

/**
 * Maximum length of the last event ID that a ticket stores, in UTF-16 units. An ID of ten
 * pipelines has 289 at most.
 */
const MAX_LAST_EVENT_ID_LENGTH = 320;

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

/**
 * Body of a request for a ticket. A ticket without channels is for all channels, and
 * one without a last event ID begins with the history.
 */
export const ticketBody: z.ZodObject<{
  channels: z.ZodOptional<z.ZodArray<z.ZodString>>;
  lastEventId: z.ZodOptional<z.ZodString>;
}> = z.strictObject({
  channels: z.array(channelSchema, 'expected a list, such as ["orders"]')
    .min(1, "expected at least one channel. Omit the list for all channels")
    .max(MAX_CHANNELS, `expected ${MAX_CHANNELS} channels at most`)
    .optional(),
  // Of another log, or of no known form, it is answered as in the header: by a gap.
  lastEventId: z.string("expected a string")
    .max(MAX_LAST_EVENT_ID_LENGTH, `expected ${MAX_LAST_EVENT_ID_LENGTH} characters at most`)
    .optional(),
}, {
  // The library's own message for an unknown member names it.
  error: ({ code }) => code === "invalid_type" ? "expected an object" : undefined,
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
export function pipelinesSchema(remedy: string, listRemedy?: string): z.ZodArray<z.ZodString> {
  const missing = `expected at least one. ${remedy}`;
  const expected = 'expected a list, such as ["p_aBcDeF"]';
  return z.array(idSchema(listRemedy), {
    error: ({ input }) => input === undefined ? missing : expected,
  })
    .min(1, missing)
    .max(MAX_PIPELINES, `expected ${MAX_PIPELINES} pipelines at most`)
    .refine((ids) => new Set(ids).size === ids.length, "expected no pipeline twice");
}

/** Creates the schema for a whole number in a query. */
export function wholeNumber(
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
