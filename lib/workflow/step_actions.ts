/**
 * The actions of a step.
 *
 * @module
 */

import type { Actions } from "./component.ts";
import type { Outbox } from "./outbox.ts";
import { sendStream } from "./send_stream.ts";
import { serializeEvent, type SseEvent } from "./serialized_event.ts";
import type { SseStream } from "./send_sse.ts";

/** Options for {@linkcode createActions}. */
export interface ActionOptions {
  /** Name of the step. */
  step: string;
  /** Called with each export of the step. */
  onExport: (key: string, value: unknown) => void;
  /** Called when the workflow is to end after the step. */
  onExit: (reason: string | undefined) => void;
}

/** Creates the actions of a step, whose events go to an outbox until it is closed. */
export function createActions(
  outbox: Outbox,
  { step, onExport, onExit }: ActionOptions,
): Actions {
  const assertOpen = (call: string) => {
    if (!outbox.isClosed) return;
    throw new Error(
      "Cannot send: the workflow has finished. " +
        `Await everything in the step ${step} that calls ${call}`,
    );
  };
  const sse = (event: SseEvent) => {
    assertOpen("$.send.sse()");
    outbox.add(serializeEvent(event));
  };
  const stream = async (options: SseStream) => {
    try {
      return await sendStream(outbox, options);
    } catch (error) {
      assertOpen("$.send.sse.stream()");
      throw error;
    }
  };
  return {
    send: { sse: Object.assign(sse, { stream }) },
    export: onExport,
    flow: { exit: onExit },
  };
}
