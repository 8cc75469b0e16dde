/**
 * A plain fan-out with the helper of hono, `streamSSE`: IDs, but neither a log nor resume.
 *
 * @module
 */

import { Hono } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";

const pipelines = new Map<string, Set<SSEStreamingApi>>();
let id = 0;

function streamsOf(path: string): Set<SSEStreamingApi> {
  const streams = pipelines.get(path) ?? new Set();
  pipelines.set(path, streams);
  return streams;
}

const app = new Hono();
app.get("/:pipeline", (context) =>
  streamSSE(context, async (stream) => {
    const streams = streamsOf(context.req.path);
    await stream.write(":\n\n");
    streams.add(stream);
    await new Promise<void>((resolve) => stream.onAbort(resolve));
    streams.delete(stream);
  }));
app.post("/:pipeline", async (context) => {
  const event = { id: `${++id}`, event: "bench", data: await context.req.text() };
  await Promise.all([...streamsOf(context.req.path)].map((stream) => stream.writeSSE(event)));
  return context.body(null, 202);
});

Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} },
  app.fetch,
);
