/**
 * The least that a handler of the runtime can do for a fan-out: each event is enqueued to
 * all streams of its path, without IDs, a log, or a limit for clients that do not read.
 *
 * @module
 */

type Controller = ReadableStreamDefaultController<Uint8Array>;

const encoder = new TextEncoder();
const pipelines = new Map<string, Set<Controller>>();
const HEADERS = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };

function subscribe(path: string): Response {
  const streams = streamsOf(path);
  let own: Controller;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      own = controller;
      controller.enqueue(encoder.encode(":\n\n"));
      streams.add(controller);
    },
    cancel: () => void streams.delete(own),
  });
  return new Response(body, { headers: HEADERS });
}

function streamsOf(path: string): Set<Controller> {
  const streams = pipelines.get(path) ?? new Set();
  pipelines.set(path, streams);
  return streams;
}

Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} },
  async (request) => {
    const path = new URL(request.url).pathname;
    if (request.method === "GET") return subscribe(path);
    const chunk = encoder.encode(`data: ${await request.text()}\n\n`);
    for (const stream of streamsOf(path)) stream.enqueue(chunk);
    return new Response(null, { status: 202 });
  },
);
