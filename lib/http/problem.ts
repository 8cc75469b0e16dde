/**
 * Problem documents: the responses to errors.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9457}
 * @module
 */

import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import type { Refusal } from "../telemetry/mod.ts";

/** Statuses of transient errors. */
const TRANSIENT_STATUSES = [429, 503];

/** Delay after which a client may retry a transient error, in seconds. */
const RETRY_AFTER_SECONDS = 1;

/** Maximum length of the detail of a problem, in UTF-16 units: it may quote the request. */
const MAX_DETAIL_LENGTH = 500;

const INTERNAL = {
  status: 500,
  title: "Internal error",
  detail: "The request failed for a reason that the operator can find in the log",
};

const PROBLEMS: Partial<Record<RunnelErrorType, { status: number; title: string }>> = {
  "malformed-request": { status: 400, title: "Malformed request" },
  "unauthorized": { status: 401, title: "Unauthorized" },
  "forbidden": { status: 403, title: "Forbidden" },
  "not-found": { status: 404, title: "Not found" },
  "method-not-allowed": { status: 405, title: "Method not allowed" },
  "request-timeout": { status: 408, title: "Request timeout" },
  "run-ended": { status: 409, title: "Run ended" },
  "append-superseded": { status: 409, title: "Append superseded" },
  "too-large": { status: 413, title: "Body too large" },
  "unsupported-media-type": { status: 415, title: "Unsupported media type" },
  "invalid-event": { status: 422, title: "Invalid event" },
  "key-reused": { status: 422, title: "Idempotency key reused" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  "overloaded": { status: 503, title: "Overloaded" },
  "draining": { status: 503, title: "Draining" },
  "log-unavailable": { status: 503, title: "Log unavailable" },
  "keys-unavailable": { status: 503, title: "Keys unavailable" },
  "outcome-unknown": { status: 503, title: "Outcome unknown" },
};

/** Whether an error is transient, so that a retry makes sense. */
export function isTransient(error: RunnelError): boolean {
  return TRANSIENT_STATUSES.includes(PROBLEMS[error.type]?.status ?? 0);
}

/** Returns the type of the problem that an error becomes. */
export function refusalOf(error: Error): Refusal {
  const isKnown = error instanceof RunnelError && error.type in PROBLEMS;
  return isKnown ? error.type as Refusal : "internal";
}

/** Facts that a problem document has besides those of its type. */
export interface ProblemFacts {
  /** ID of the request. */
  requestId: string;
  /** Part of the service that fails, if a client asked for it. */
  part?: string;
  /** Number of events of a streaming append that stand, … */
  accepted?: number;
  /** … and the ID of the last of them; `null` if there is none. */
  lastEventId?: string | null;
}

/**
 * Creates the response to an error, as a problem document.
 *
 * @param error The error; `null` for one whose details must not reach clients.
 * @param facts Further members of the document.
 */
export function problem(
  error: RunnelError | null,
  facts: ProblemFacts,
  headers: HeadersInit = {},
): Response {
  const known = error && PROBLEMS[error.type];
  const { status, title } = known ?? INTERNAL;
  const type = known ? error.type : "internal";
  const detail = shorten(known ? error.message : INTERNAL.detail);
  const response = new Response(
    JSON.stringify({ type: `urn:runnel:problem:${type}`, title, status, detail, ...facts }),
    { status, headers },
  );
  response.headers.set("Content-Type", "application/problem+json");
  response.headers.set("Cache-Control", "no-store");
  if (status === 401) response.headers.set("WWW-Authenticate", "Bearer");
  if (TRANSIENT_STATUSES.includes(status)) {
    response.headers.set("Retry-After", String(RETRY_AFTER_SECONDS));
  }
  return response;
}

function shorten(text: string): string {
  return text.length > MAX_DETAIL_LENGTH ? `${text.slice(0, MAX_DETAIL_LENGTH)} …` : text;
}
