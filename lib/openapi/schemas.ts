/**
 * What a client's input must satisfy: the schemas that validate it, and that
 * OpenAPI shows.
 *
 * @module
 */

import { z } from "zod";

/** A pipeline ID: `p_` and 1 to 62 letters, digits, `_` or `-`. */
export const pipelineSchema: z.ZodString = z.string().regex(
  /^p_[A-Za-z0-9_-]{1,62}$/,
  "expected p_ followed by 1 to 62 letters, digits, _ or -",
);

/**
 * A channel: 1 to 128 UTF-16 units of well-formed text without control
 * characters. `runnel.` is our own prefix, and EventSource fires `error` and
 * `open` itself, so that a listener could not tell them apart.
 */
export const channelSchema: z.ZodString = z.string()
  .min(1, "expected 1 to 128 characters")
  // zod counts a surrogate pair as one.
  .max(128, "expected 1 to 128 characters")
  .refine((text) => text.length <= 128, "expected 1 to 128 characters")
  .refine(
    (text) => text.isWellFormed() && !/\p{Cc}/u.test(text),
    "expected well-formed text without control characters",
  )
  .regex(/^(?!runnel\.)/, "expected a name that does not start with runnel.")
  .regex(/^(?!(error|open)$)/, "expected a name other than error and open, which EventSource uses");

/** What a publisher sends for one event. */
export const eventSchema: z.ZodType<{ pipeline: string; channel: string; payload: unknown }> = z
  .strictObject({
    pipeline: pipelineSchema,
    channel: channelSchema,
    payload: z.unknown().refine(
      (payload) => payload !== undefined,
      "expected any JSON value",
    ),
  });

/** An idempotency key: 1 to 255 visible ASCII characters. */
export const idempotencyKeySchema: z.ZodString = z.string().regex(
  /^[!-~]{1,255}$/,
  "expected 1 to 255 visible ASCII characters",
);
