import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { DataFolder, Program } from "../support/programs/program.ts";
import { OtlpReceiver, type Span } from "../support/servers/otlp_receiver.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { eventually } from "../support/wait.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

/** Number of streams: enough that each of two isolates has one of them. */
const STREAMS = 12;

/** Publishes, waits until all streams have the event, and returns the trace that it carries. */
async function publish(
  { url }: Program,
  readers: readonly StreamReader[],
  headers: Record<string, string>,
): Promise<void> {
  const response = await fetch(`${url}/ingest/p_a/events`, { method: "POST", body: "x", headers });
  equal(response.status, 202, await response.text());
  await Promise.all(readers.map((reader) => reader.event()));
}

for (const isolates of ["1", "2"]) {
  Deno.test(`deno task start with ${isolates} isolates traces a publish up to its fan-out`, async () => {
    await using receiver = OtlpReceiver.start();
    await using folder = new DataFolder();
    await using program = await Program.start({
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      RUNNEL_CANARY_MS: "0",
      ...receiver.settings,
    });
    const clients = Array.from(
      { length: STREAMS },
      () => Deno.createHttpClient({ poolMaxIdlePerHost: 0 }),
    );
    const responses = await Promise.all(
      clients.map((client) => fetch(`${program.url}/pipelines/p_a/sse?trace=1`, { client })),
    );
    const readers = responses.map((response) => new StreamReader(response));
    await Promise.all(readers.map((reader) => reader.until("runnel.live")));
    await publish(program, readers, { traceparent: `00-${TRACE}-${PARENT}-01` });
    const own = (name: string): Span[] =>
      receiver.spans.filter((span) => span.name === name && span.traceId === TRACE);
    await eventually(
      "the spans are exported",
      () =>
        own("publish").length === 1 && own("commit").length === 1 &&
        own("fan-out").length === Number(isolates),
    );
    const [[root], [commit], sent] = ["publish", "commit", "fan-out"].map(own) as [
      Span[],
      Span[],
      Span[],
    ];
    equal(commit!.parentSpanId, root!.spanId);
    ok(root!.parentSpanId !== "");
    for (const span of sent) equal(span.parentSpanId, root!.spanId);
    const streams = sent.map((span) =>
      Number(span.attributes.find(({ key }) => key === "runnel.subscribers")!.value.doubleValue)
    );
    equal(streams.reduce((sum, count) => sum + count), STREAMS);
    // A publisher without a trace begins one here.
    await publish(program, readers, {});
    await eventually(
      "its spans are exported",
      () =>
        receiver.spans.filter(({ name, traceId }) => name === "fan-out" && traceId !== TRACE)
          .length === Number(isolates),
    );
    const other = new Set(
      receiver.spans.filter(({ traceId }) => traceId !== TRACE).map(({ traceId }) => traceId),
    );
    deepEqual([...other].length, 1);
    for (const reader of readers) await reader.cancel();
    for (const client of clients) client.close();
  });
}
