/* @ts-self-types="../../client/shared_messages.ts" */
// @ts-nocheck: built from lib/client/shared_messages.ts by "deno task build".

export const VERSION = 1;

export const MAX_PIPELINES = 10;

export const WINDOW_COUNT = 1_000;

export const WINDOW_LENGTH = 1024 * 1024;

export function lengthOf(event) {
  return event.type === "event" ? event.data.length : 0;
}
