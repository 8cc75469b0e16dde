/**
 * The labels of the instruments: the values by which they count apart.
 *
 * @module
 */

import type { RunnelErrorType } from "../base/mod.ts";

/** Outcome of a publish. */
export type PublishOutcome =
  | "stored"
  | "duplicate"
  | "rejected"
  | "unavailable"
  | "unknown"
  | "failed";

/** Outcomes of a publish, in the order of the output. */
export const PUBLISH_OUTCOMES: readonly PublishOutcome[] = [
  "stored",
  "duplicate",
  "rejected",
  "unavailable",
  "unknown",
  "failed",
];

/** Reason for which a request was refused. */
export type Refusal = Exclude<RunnelErrorType, "invalid-setting" | "storage-unusable"> | "internal";

/** Reasons for which a request was refused, in the order of the output. */
export const REFUSALS: readonly Refusal[] = [
  "malformed-request",
  "unauthorized",
  "forbidden",
  "not-found",
  "method-not-allowed",
  "request-timeout",
  "run-ended",
  "append-superseded",
  "too-large",
  "unsupported-media-type",
  "invalid-event",
  "key-reused",
  "too-many-requests",
  "overloaded",
  "draining",
  "log-unavailable",
  "keys-unavailable",
  "outcome-unknown",
  "internal",
];

/** Place at which a stream begins. */
export type StreamStart = "fresh" | "resumed" | "unknown";

/** Places at which a stream begins, in the order of the output. */
export const STREAM_STARTS: readonly StreamStart[] = ["fresh", "resumed", "unknown"];

/** Reason for which a subscriber was told of a gap. */
export type GapReason = "evicted" | "cleared" | "damaged" | "unknown";

/** Reasons for which a subscriber was told of a gap, in the order of the output. */
export const GAP_REASONS: readonly GapReason[] = ["evicted", "cleared", "damaged", "unknown"];

/** Signal that caused the repair of a tail. */
export type RepairSignal = "gap" | "announcement" | "watch" | "reconcile";

/** Signals that caused the repair of a tail, in the order of the output. */
export const REPAIR_SIGNALS: readonly RepairSignal[] = [
  "gap",
  "announcement",
  "watch",
  "reconcile",
];

/** Outcome of a round of the canary. */
export type CanaryOutcome = "delivered" | "lost" | "failed";

/** Outcomes of a round of the canary, in the order of the output. */
export const CANARY_OUTCOMES: readonly CanaryOutcome[] = ["delivered", "lost", "failed"];
