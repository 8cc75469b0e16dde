/* @ts-self-types="../../client/shared_encoder.ts" */
// @ts-nocheck: built from lib/client/shared_encoder.ts by "deno task build".

export function encodeBlock({ id, type, data }) {
  const event = data === null
    ? ""
    : `event: ${type}\n${data.split("\n").map((line) => `data: ${line}\n`).join("")}`;
  return `${event}${id && `id: ${id}\n`}\n`;
}

export function encodeEvent(event, progress) {
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

export function encodeLive(progress) {
  return progress.openPipelines.map((pipeline) =>
    encodeControl("live", pipeline, { replayed: progress.replayedOf(pipeline) }, progress)
  ).join("");
}

export function encodeKeepAlive(progress) {
  return `:\n${encodeId(progress)}`;
}

function encodeControl(
  name,
  pipeline,
  details,
  progress,
) {
  const isMultiple = progress.pipelines.length > 1;
  const data = JSON.stringify(isMultiple ? { pipeline, ...details } : details);
  return `event: runnel.${name}\ndata: ${data}\n${encodeId(progress)}`;
}

function encodeId({ id }) {
  return `id: ${id}\n\n`;
}
