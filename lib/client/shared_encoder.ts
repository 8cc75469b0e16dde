/**
 * The text of an event stream, as the service would send it to a tab.
 *
 * @module
 */

import type { SharedEvent } from "./shared_messages.ts";
import type { SharedProgress } from "./shared_progress.ts";
import type { StreamBlock } from "./stream_parser.ts";

/** Encodes a block of the service's own stream. */
export function encodeBlock({ id, type, data }: StreamBlock): string {
  const event = data === null
    ? ""
    : `event: ${type}\n${data.split("\n").map((line) => `data: ${line}\n`).join("")}`;
  return `${event}${id && `id: ${id}\n`}\n`;
}

/** Encodes an event of the feed that the progress has taken. */
export function encodeEvent(event: SharedEvent, progress: SharedProgress): string {
  const { pipeline } = event;
  if (event.type === "gap") {
    const { missed, reason } = event;
    return encodeControl("gap", pipeline, { missed, reason }, progress);
  }
  if (event.type === "end") {
    return encodeControl("end", pipeline, { events: event.events }, progress);
  }
  const type = progress.pipelines.length > 1 ? `${pipeline}/${event.channel}` : event.channel;
  return `event: ${type}\ndata: ${event.data}\n${encodeId(progress)}`;
}

/** Encodes the markers between the events before a feed and those since. */
export function encodeLive(progress: SharedProgress): string {
  return progress.openPipelines.map((pipeline) =>
    encodeControl("live", pipeline, { replayed: progress.replayedOf(pipeline) }, progress)
  ).join("");
}

/** Encodes a sign of life, with the position. */
export function encodeKeepAlive(progress: SharedProgress): string {
  return `:\n${encodeId(progress)}`;
}

function encodeControl(
  name: string,
  pipeline: string,
  details: Record<string, unknown>,
  progress: SharedProgress,
): string {
  const isMultiple = progress.pipelines.length > 1;
  const data = JSON.stringify(isMultiple ? { pipeline, ...details } : details);
  return `event: runnel.${name}\ndata: ${data}\n${encodeId(progress)}`;
}

function encodeId({ id }: SharedProgress): string {
  return `id: ${id}\n\n`;
}
