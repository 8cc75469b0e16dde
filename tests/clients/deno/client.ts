/**
 * Prints the events of a stream, read by `@runnel/client`, as JSON lines.
 * Usage: client.ts @runnel/client URL. It comes back until it is ended.
 *
 * @module
 */

import { subscribe } from "../../../lib/client/mod.ts";

const url = new URL(Deno.args[1]!);
const [, base, pipeline] = /^(.*?)(?:\/pipelines\/([^/]+))?\/sse$/.exec(url.origin + url.pathname)!;
const pipelines = pipeline === undefined ? url.searchParams.getAll("pipeline") : [pipeline];
const channels = url.searchParams.getAll("channel");

for await (const event of subscribe(base!, { pipelines, channels })) {
  const { id } = event;
  if (event.type === "event") {
    const type = pipelines.length > 1 ? `${event.pipeline}/${event.channel}` : event.channel;
    console.log(JSON.stringify({ type, id, data: event.data }));
  } else console.log(JSON.stringify({ type: `runnel.${event.type}`, id, data: "{}" }));
}
