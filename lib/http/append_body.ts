/**
 * Chooses the reader of a body whose events are published while it arrives.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import { validateChannel } from "../protocol/mod.ts";
import { EventStreamBodyReader, type EventStreamOptions } from "./append_event_stream.ts";
import { NdjsonReader } from "./append_ndjson.ts";
import type { AppendReader } from "./append_reader.ts";
import { mediaTypeOf, quoteMediaType } from "./media_type.ts";

/** Options for {@linkcode appendReader}. `channel` and `data` are for event streams. */
export interface AppendOptions extends EventStreamOptions {
  /** The `Content-Type` header; `null` without one. */
  contentType: string | null;
}

/**
 * Creates the reader of a body, by its media type.
 *
 * @throws {RunnelError} `unsupported-media-type`; `invalid-event` if the channel breaks a
 *   rule; `malformed-request` if there is one though the events name theirs.
 */
export function appendReader({ contentType, ...options }: AppendOptions): AppendReader {
  const { channel, limits } = options;
  const type = mediaTypeOf(contentType);
  if (type === "text/event-stream") {
    const problem = channel === null ? null : validateChannel(channel);
    if (problem) throw new RunnelError("invalid-event", `Cannot publish: channel: ${problem}`);
    return new EventStreamBodyReader(options);
  }
  if (type !== "application/x-ndjson") throw unsupported(type);
  if (channel === null) return new NdjsonReader(limits);
  throw new RunnelError(
    "malformed-request",
    "Cannot publish: the channel of the request is for text/event-stream. " +
      "In application/x-ndjson, each event has its own",
  );
}

function unsupported(type: string): RunnelError {
  return new RunnelError(
    "unsupported-media-type",
    "Cannot publish: expected Content-Type application/x-ndjson or text/event-stream, got " +
      `${quoteMediaType(type)}. ` +
      (type === "application/json"
        ? "Send JSON to POST /ingest"
        : "With curl, add -H 'Content-Type: application/x-ndjson'"),
  );
}
