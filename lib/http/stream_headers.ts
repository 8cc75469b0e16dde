/**
 * The headers of event streams.
 *
 * @module
 */

import type { AppContext } from "./context.ts";

const STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  // Neither kept nor changed on the way: a proxy that compresses holds events back.
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

/** The same for a browser's tab, so that every event shows as soon as it comes. */
const TAB_HEADERS = {
  ...STREAM_HEADERS,
  // Firefox shows nothing of an event stream before it has some hundred bytes …
  "Content-Type": "text/plain; charset=utf-8",
  // … and Chromium nothing of a text whose type it may doubt.
  "X-Content-Type-Options": "nosniff",
};

/** The headers of the event stream that is asked for. */
export function streamHeaders(c: AppContext): Record<string, string> {
  return c.req.header("Sec-Fetch-Dest") === "document" ? TAB_HEADERS : STREAM_HEADERS;
}
