/**
 * The error class of this service, and the types of its errors.
 *
 * @module
 */

/**
 * Type of an error: a literal that callers and clients can rely on. The routes
 * turn it into a status and into the `type` of a problem document.
 *
 * - `malformed-request`: the request cannot be parsed (400)
 * - `unauthorized`: the token is missing or invalid (401)
 * - `forbidden`: the token or the ticket does not cover the request (403)
 * - `not-found`: no route has this path (404)
 * - `method-not-allowed`: the route takes other methods (405)
 * - `request-timeout`: the body did not arrive in time (408)
 * - `run-ended`: the run of the pipeline has ended (409)
 * - `append-superseded`: another connection goes on with the append (409)
 * - `too-large`: the body is over its limit (413)
 * - `unsupported-media-type`: the body has an unsupported type or coding (415)
 * - `invalid-event`: the request was parsed, but an event breaks a rule (422)
 * - `key-reused`: the idempotency key belongs to another body (422)
 * - `too-many-requests`: a token, an address or a pipeline exceeds its rate or its quota (429)
 * - `overloaded`: too many requests or connections; nothing was stored (503)
 * - `draining`: this instance is about to end; nothing was stored (503)
 * - `log-unavailable`: the log does not answer; nothing was stored (503)
 * - `keys-unavailable`: the keys that verify tokens are unavailable (503)
 * - `outcome-unknown`: the log did not confirm in time; events may be stored (503)
 * - `invalid-setting`: a setting has an invalid value (at start)
 * - `storage-unusable`: the storage cannot be opened as configured (at start)
 */
export type RunnelErrorType =
  | "malformed-request"
  | "unauthorized"
  | "forbidden"
  | "not-found"
  | "method-not-allowed"
  | "request-timeout"
  | "run-ended"
  | "append-superseded"
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
 * An error with a meaning for the caller or the client. Its message states what
 * happened, what was expected and what to do. Any client may see it, so it
 * contains nothing internal. The underlying error, if any, is the `cause`, which is
 * reported to the operator and never sent.
 */
export class RunnelError extends Error {
  /** Type of the error. */
  readonly type: RunnelErrorType;

  /**
   * Creates an error.
   *
   * @param message Reason and remedy, in whole sentences.
   * @param options The underlying error, as `cause`.
   */
  constructor(type: RunnelErrorType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RunnelError";
    this.type = type;
  }
}
