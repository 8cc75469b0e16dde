/**
 * Events about the steps of a workflow, by which a page can show progress.
 *
 * @module
 */

import { type SerializedEvent, serializeEvent } from "./serialized_event.ts";

/** Channel of these events. Steps can send events to it as well. */
const CHANNEL = "steps";

/** Maximum length of the text of an error, in UTF-16 code units. */
const MAX_ERROR_LENGTH = 1000;

/** State of a step. After `failed` and `exited`, no further step runs. */
export type StepState = "started" | "finished" | "exited" | "failed";

/** Payload of an event about a step. */
export interface StepEvent {
  /** Name of the step. */
  step: string;
  /** Number of the step, from 1 on. */
  number: number;
  /** Number of all steps. */
  of: number;
  /** State that the step has now. */
  state: StepState;
  /** Message of the error of a step that failed. */
  error?: string | undefined;
}

/** Creates the event about a step. A long message of an error is cut. */
export function serializeStepEvent({ error, ...step }: StepEvent): SerializedEvent {
  return serializeEvent({
    channel: CHANNEL,
    payload: { ...step, error: error?.slice(0, MAX_ERROR_LENGTH) },
  });
}
