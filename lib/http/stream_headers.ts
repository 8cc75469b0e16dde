/**
 * Headers of streams.
 *
 * @module
 */

import type { AppContext } from "./context.ts";

const LINES_TYPE = "application/x-ndjson";

const STREAM_HEADERS = {
  // Some clients read Latin-1 where no charset is named, though the format is always UTF-8.
  "Content-Type": "text/event-stream; charset=utf-8",
  // Proxies must neither store nor transform it: one that compresses holds events back.
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
  // The same, in a header that newer proxies know: draft-ietf-httpbis-incremental.
  "Incremental": "?1",
};

/** The same for a browser's tab, so that it shows each event at once. */
const TAB_HEADERS = {
  ...STREAM_HEADERS,
  // Firefox does not show an event stream before it has some hundred bytes …
  "Content-Type": "text/plain; charset=utf-8",
  // … and Chromium does not show a text whose type it may sniff.
  "X-Content-Type-Options": "nosniff",
};

/** The same for lines of JSON. */
const LINES_HEADERS = { ...STREAM_HEADERS, "Content-Type": LINES_TYPE };

/** Whether a client asks for lines of JSON instead of an event stream. */
export function acceptsLines(c: AppContext): boolean {
  const accept = c.req.header("Accept")?.toLowerCase();
  return accept?.includes(LINES_TYPE) === true && !accept.includes("text/event-stream");
}

/** Returns the headers of the stream that a request asks for. */
export function streamHeaders(c: AppContext): Record<string, string> {
  if (acceptsLines(c)) return LINES_HEADERS;
  return c.req.header("Sec-Fetch-Dest") === "document" ? TAB_HEADERS : STREAM_HEADERS;
}
