/**
 * A handler of the runtime that keeps events in memory, and gives each client the newest
 * hundred in the bytes that Runnel sends: what a herd of clients costs at the least.
 *
 * @module
 */

const HISTORY = 100;

const encoder = new TextEncoder();
const events: string[] = [];
let bytes = encoder.encode("");

/** Encodes the newest events, as a new stream of Runnel does. */
function encode(): Uint8Array<ArrayBuffer> {
  const first = Math.max(0, events.length - HISTORY);
  const idOf = (index: number) => `AAAAAAAAAAA-${index + 1}`;
  const blocks = events.slice(first).map((payload, index) =>
    `event: bench\ndata: ${payload}\nid: ${idOf(first + index)}\n\n`
  );
  const live = `event: runnel.live\ndata: {"replayed":${blocks.length}}\n` +
    `id: ${idOf(events.length - 1)}\n\n`;
  return encoder.encode(`retry: 3000\n${blocks.join("")}${live}`);
}

Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} },
  async (request) => {
    if (request.method === "GET") {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(bytes),
      });
      return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
    }
    events.push(...(await request.text()).split("\n"));
    bytes = encode();
    return new Response(null, { status: 202 });
  },
);
