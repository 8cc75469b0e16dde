/**
 * Limits and validation rules of events, which publishers and the service share.
 * They run wherever a workflow runs: in Node, in Deno and in browsers.
 *
 * @module
 */

/** Maximum size of a request body, in bytes: one atomic commit of the log holds it in any case. */
export const MAX_BODY_BYTES: number = 512 * 1024;

/** Maximum number of events in one request. */
export const MAX_EVENTS: number = 1000;

/** Maximum size of a payload, in bytes of JSON text in UTF-8. */
export const MAX_PAYLOAD_BYTES: number = 60 * 1024;

/** Maximum depth of a payload: levels of arrays and objects inside each other. */
export const MAX_PAYLOAD_DEPTH: number = 512;

/** Maximum length of a channel, in UTF-16 code units. */
export const MAX_CHANNEL_LENGTH: number = 128;

/** Form of a pipeline ID. The prefix `p_` is part of the ID. */
export const PIPELINE_PATTERN: RegExp = /^p_[A-Za-z0-9_-]{1,62}$/;

/**
 * Validates a pipeline ID.
 *
 * @param id The pipeline ID.
 * @returns The rule that the ID violates, or `null` if it is valid.
 *
 * @example The prefix is part of the ID
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(validatePipelineId("p_aBcDeF"), null);
 * equal(validatePipelineId("aBcDeF"), "expected p_ followed by 1 to 62 letters, digits, _ or -");
 * ```
 */
export function validatePipelineId(id: string): string | null {
  return PIPELINE_PATTERN.test(id)
    ? null
    : "expected p_ followed by 1 to 62 letters, digits, _ or -";
}

/**
 * Validates a channel.
 *
 * The prefix `runnel.` is reserved for control events. `error` and `open` are
 * events that an `EventSource` fires itself, so that a listener could not tell
 * them from published ones.
 *
 * @param channel The channel.
 * @returns The rule that the channel violates, or `null` if it is valid.
 *
 * @example An empty channel
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(validateChannel("events"), null);
 * equal(validateChannel(""), "expected 1 to 128 characters");
 * ```
 */
export function validateChannel(channel: string): string | null {
  if (channel === "" || channel.length > MAX_CHANNEL_LENGTH) {
    return `expected 1 to ${MAX_CHANNEL_LENGTH} characters`;
  }
  if (!channel.isWellFormed() || /\p{Cc}/u.test(channel)) {
    return "expected well-formed text without control characters";
  }
  if (channel.startsWith("runnel.")) return "expected a name that does not start with runnel.";
  if (channel === "error" || channel === "open") {
    return "expected a name other than error and open, which EventSource uses";
  }
  return null;
}

/**
 * Whether a value has more than a number of levels of arrays and objects inside
 * each other.
 *
 * @param levels Maximum number of levels.
 * @param value Any JSON value.
 *
 * @example One array in another
 * ```ts
 * import { ok } from "node:assert/strict";
 *
 * ok(isDeeperThan(1, [[]]));
 * ok(!isDeeperThan(2, [[]]));
 * ```
 */
export function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeperThan(levels - 1, inner));
}
