/**
 * What a client's input must satisfy: the schemas that validate it, and that
 * OpenAPI shows.
 *
 * @module
 */

import { z } from "zod";
import {
  MAX_CHANNEL_LENGTH,
  PIPELINE_PATTERN,
  validateChannel,
  validatePipelineId,
} from "../protocol/mod.ts";

/** A pipeline ID: `p_` and 1 to 62 letters, digits, `_` or `-`. */
export const pipelineSchema: z.ZodString = z.string()
  .check(by(validatePipelineId))
  .meta({ pattern: PIPELINE_PATTERN.source });

/** A channel: 1 to 128 UTF-16 units of well-formed text without control characters. */
export const channelSchema: z.ZodString = z.string()
  .check(by(validateChannel))
  .meta({ minLength: 1, maxLength: MAX_CHANNEL_LENGTH });

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

function by(findProblem: (text: string) => string | null): z.core.CheckFn<string> {
  return ({ value, issues }) => {
    const message = findProblem(value);
    if (message) issues.push({ code: "custom", message, input: value });
  };
}
