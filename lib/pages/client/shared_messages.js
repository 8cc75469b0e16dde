/* @ts-self-types="../../client/shared_messages.ts" */
// @ts-nocheck: built from lib/client/shared_messages.ts by "deno task build".

export const VERSION = 1;

export const MAX_PIPELINES = 10;

export const WINDOW_COUNT = 1_000;

export const WINDOW_LENGTH = 1024 * 1024;

export function lengthOf(event) {
  return event.type === "event" ? event.data.length : 0;
}

export function toSharedEvent(
  event,
  id,
  before,
) {
  const { pipeline } = event;
  switch (event.type) {
    case "event":
      return { type: "event", pipeline, id, channel: event.channel, data: event.data };
    case "gap":
      return {
        type: "gap",
        pipeline,
        id,
        ...before,
        missed: event.missed,
        reason: event.reason,
      };
    case "end":
      return { type: "end", pipeline, id, events: event.events };
  }
}
