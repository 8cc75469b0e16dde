/**
 * What an event must satisfy to be accepted: the limits and names that a
 * publisher and the service both go by. It runs wherever a workflow does.
 *
 * @module
 */

/** The most bytes of a request's body: what one atomic commit of the log holds in any case. */
export const MAX_BODY_BYTES: number = 512 * 1024;

/** The most events of one request. */
export const MAX_EVENTS: number = 1000;

/** The most bytes of a payload, as JSON text in UTF-8. */
export const MAX_PAYLOAD_BYTES: number = 60 * 1024;

/** The most levels of arrays and objects inside each other in a payload. */
export const MAX_PAYLOAD_DEPTH: number = 512;

/** The most UTF-16 units of a channel. */
export const MAX_CHANNEL_LENGTH: number = 128;

/** What a pipeline ID looks like: `p_` is part of it. */
export const PIPELINE_PATTERN: RegExp = /^p_[A-Za-z0-9_-]{1,62}$/;

/**
 * What a pipeline ID was expected to be, or `null` if it is one.
 *
 * @param id The pipeline ID.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(pipelineProblem("p_aBcDeF"), null);
 * equal(pipelineProblem("aBcDeF"), "expected p_ followed by 1 to 62 letters, digits, _ or -");
 * ```
 */
export function pipelineProblem(id: string): string | null {
  return PIPELINE_PATTERN.test(id)
    ? null
    : "expected p_ followed by 1 to 62 letters, digits, _ or -";
}

/**
 * What a channel was expected to be, or `null` if it is one. `runnel.` is our
 * own prefix, and EventSource fires `error` and `open` itself, so that a
 * listener could not tell them apart.
 *
 * @param channel The channel.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(channelProblem("events"), null);
 * equal(channelProblem(""), "expected 1 to 128 characters");
 * ```
 */
export function channelProblem(channel: string): string | null {
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
 * Whether a value has more levels of arrays and objects inside each other.
 *
 * @param levels How many it may have.
 * @param value The value.
 *
 * @example
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
