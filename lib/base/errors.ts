/**
 * The one error that this service raises on purpose.
 *
 * @module
 */

/**
 * What went wrong, as a literal that callers and clients can rely on. The
 * routes turn it into a status and into the `type` of a problem document.
 *
 * - `malformed-request`: the request cannot be understood (400)
 * - `unauthorized`: a token is missing, or is none of ours (401)
 * - `forbidden`: the token or the ticket does not cover that (403)
 * - `not-found`: there is nothing at that address (404)
 * - `method-not-allowed`: the address takes other methods (405)
 * - `request-timeout`: the body took too long to come (408)
 * - `too-large`: the body is over its limit (413)
 * - `unsupported-media-type`: the body has a type or coding that is not taken (415)
 * - `invalid-event`: the request was read, but an event breaks a rule (422)
 * - `key-reused`: the idempotency key belongs to another body (422)
 * - `too-many-requests`: one token or address asks too often, or holds too much (429)
 * - `overloaded`: too much is waiting or connected; nothing was stored (503)
 * - `draining`: this instance is about to end; nothing was stored (503)
 * - `log-unavailable`: the log does not answer; nothing was stored (503)
 * - `keys-unavailable`: the keys that tokens are signed with cannot be had (503)
 * - `outcome-unknown`: the log did not confirm in time; it may have been stored (503)
 * - `invalid-setting`: a setting has a value that it cannot take (at start)
 * - `storage-unusable`: the storage cannot be opened as it is set up (at start)
 */
export type RunnelErrorType =
  | "malformed-request"
  | "unauthorized"
  | "forbidden"
  | "not-found"
  | "method-not-allowed"
  | "request-timeout"
  | "too-large"
  | "unsupported-media-type"
  | "invalid-event"
  | "key-reused"
  | "too-many-requests"
  | "overloaded"
  | "draining"
  | "log-unavailable"
  | "keys-unavailable"
  | "outcome-unknown"
  | "invalid-setting"
  | "storage-unusable";

/**
 * A failure with a meaning for the one who asked. Its message says what
 * happened, what was expected and what to do; it is shown to strangers, so it
 * carries nothing internal. The underlying failure, if any, is the `cause`,
 * which is logged and never sent.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const error = new RunnelError("too-large", "Cannot read body: it exceeds 524288 bytes");
 * equal(error.type, "too-large");
 * ```
 */
export class RunnelError extends Error {
  /** What went wrong. */
  readonly type: RunnelErrorType;

  /**
   * Makes an error.
   *
   * @param type What went wrong.
   * @param message What happened, what was expected and what to do.
   * @param options The failure underneath, as `cause`.
   */
  constructor(type: RunnelErrorType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RunnelError";
    this.type = type;
  }
}
