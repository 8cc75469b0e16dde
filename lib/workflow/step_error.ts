/**
 * The error of a step.
 *
 * @module
 */

import { type DeliveredEvent, DeliveryError } from "./delivery_error.ts";

/**
 * Error of a step: its `run` threw, or its promise was rejected. The events that
 * were sent before have been delivered, unless `delivery` is set.
 *
 * @example Find out which step failed, and why
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { runWorkflow, StepError } from "@runnel/workflow";
 *
 * const fail = () => {
 *   throw new Error("no more droids");
 * };
 * try {
 *   await runWorkflow({
 *     pipeline: "p_aBcDeF",
 *     steps: [{ name: "order", component: { run: fail } }],
 *   });
 * } catch (error) {
 *   if (!(error instanceof StepError)) throw error;
 *   equal(error.step, "order");
 *   equal(error.message, "The step order failed: no more droids");
 *   equal(error.delivery, null);
 * }
 * ```
 */
export class StepError extends Error {
  /** Name of the step. */
  readonly step: string;
  /** Events that were sent before the error and delivered, with their IDs. */
  readonly delivered: readonly DeliveredEvent[];
  /** Error of the delivery, if the delivery failed as well, or `null`. */
  readonly delivery: DeliveryError | null;

  /**
   * Creates an error.
   *
   * @param step The name of the step.
   * @param cause The value that the step threw.
   * @param delivery The delivered events, or the error of their delivery.
   */
  constructor(step: string, cause: unknown, delivery: DeliveredEvent[] | DeliveryError) {
    const isError = delivery instanceof DeliveryError;
    // A stream of the step has the error of the delivery itself.
    const reasons = cause instanceof DeliveryError && isError ? [] : [messageOf(cause)];
    if (isError) reasons.push(delivery.message);
    super(`The step ${step} failed: ${reasons.join(". ")}`, { cause });
    this.name = "StepError";
    this.step = step;
    this.delivered = isError ? delivery.delivered : delivery;
    this.delivery = isError ? delivery : null;
  }
}

/** Returns the message of a value that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
