import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { Refusal } from "../../../lib/pages/shared/refusal.js";
import { LiveStream, type StreamState } from "../../../lib/pages/client/live_stream.js";

const LIVE = 'id: a-2\nevent: runnel.live\ndata: {"replayed":0}\n\n';

const END = 'id: a-3\nevent: runnel.end\ndata: {"events":2}\n\n';

type Answer = string | Error | Response;

/** Runs a stream with one answer for each time that it is opened, until there are no more. */
async function follow(
  answers: readonly Answer[],
  onRefused = (stream: LiveStream) => stream.retryNow(),
  onExpired = () => {},
) {
  const openedAfter: string[] = [];
  const events: string[] = [];
  const states: string[] = [];
  const waits: number[] = [];
  const rest = [...answers];
  const stream: LiveStream = new LiveStream({
    lastEventId: "a-1",
    open(lastEventId: string) {
      openedAfter.push(lastEventId);
      const answer = rest.shift()!;
      if (rest.length === 0) stream.close();
      if (answer instanceof Error) return Promise.reject(answer);
      return Promise.resolve(answer instanceof Response ? answer : new Response(answer));
    },
    onExpired,
    onEvents: (read: { data: string }[]) => events.push(...read.map(({ data }) => data)),
    onState(state: StreamState) {
      states.push(state.name);
      if (state.name === "refused") queueMicrotask(() => onRefused(stream));
    },
    wait(ms: number) {
      waits.push(ms);
      return Promise.resolve();
    },
    random: () => 0.5,
  });
  await stream.run();
  return { stream, openedAfter, events, states, waits };
}

Deno.test("LiveStream resumes after the newest ID, and counts reconnects", async () => {
  const { stream, openedAfter, events, waits } = await follow([
    `retry: 300\n\n${LIVE}`,
    `id: a-3\ndata: 7\n\n${LIVE.replace("a-2", "a-3")}`,
    "",
  ]);
  deepEqual(openedAfter, ["a-1", "a-2", "a-3"]);
  deepEqual(events, ['{"replayed":0}', "7", '{"replayed":0}']);
  deepEqual(waits, [300, 300]);
  equal(stream.reconnects, 2);
});

Deno.test("LiveStream waits longer after each failure, until it has been live", async () => {
  const failure = new TypeError("Failed to fetch");
  const { waits, states } = await follow([
    "retry: 100\n\n",
    failure,
    failure,
    LIVE,
    ...Array.from({ length: 12 }, () => failure),
  ]);
  deepEqual(waits.slice(0, 4), [100, 300, 600, 100]);
  equal(Math.max(...waits), 30_000);
  deepEqual(states.slice(0, 5), ["connecting", "catching-up", "waiting", "connecting", "waiting"]);
});

Deno.test("LiveStream stops at a refusal until retryNow() is called", async () => {
  const { states, waits } = await follow([new Refusal("No"), LIVE, ""]);
  deepEqual(states.slice(0, 4), ["connecting", "refused", "connecting", "catching-up"]);
  equal(waits.length, 1);
});

Deno.test("LiveStream tells that a stream has expired before it opens the next one", async () => {
  let expiries = 0;
  const expired = 'event: runnel.expired\ndata: {"reason":"expired"}\n\n';
  const { openedAfter } = await follow(
    [`id: a-3\ndata: 7\n\n${expired}`, LIVE, ""],
    undefined,
    () => {
      expiries++;
    },
  );
  // It has no ID: the position stays.
  deepEqual(openedAfter, ["a-1", "a-3", "a-2"]);
  equal(expiries, 1);
});

Deno.test("LiveStream ends with its run", async () => {
  const { stream, openedAfter, events, states, waits } = await follow([LIVE + END, LIVE, ""]);
  deepEqual(openedAfter, ["a-1"]);
  deepEqual(events, ['{"replayed":0}', '{"events":2}']);
  deepEqual(states, ["connecting", "catching-up", "live", "ended"]);
  deepEqual(waits, []);
  equal(stream.lastEventId, "a-3");
});

Deno.test("LiveStream does not wait for the other side to close a stream that has ended", async () => {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(LIVE + END)),
  });
  const { states } = await follow([new Response(body), ""]);
  equal(states.at(-1), "ended");
});

Deno.test("LiveStream ends if the service has nothing to send after the end of the run", async () => {
  const { openedAfter, states } = await follow([LIVE, new Response(null, { status: 204 }), ""]);
  deepEqual(openedAfter, ["a-1", "a-2"]);
  deepEqual(states.slice(-3), ["waiting", "connecting", "ended"]);
});

Deno.test("LiveStream.close() ends a stream that was refused", async () => {
  const { states } = await follow([new Refusal("No"), LIVE], (stream) => stream.close());
  deepEqual(states, ["connecting", "refused"]);
});

Deno.test("LiveStream decodes characters that arrive in two pieces", async () => {
  const bytes = new TextEncoder().encode('data: "Padmé"\n\n');
  const read: string[] = [];
  const stream = new LiveStream({
    open: () =>
      Promise.resolve(
        new Response(ReadableStream.from(Array.from(bytes, (byte) => Uint8Array.of(byte)))),
      ),
    onEvents(events) {
      read.push(...events.map(({ data }) => data));
      stream.close();
    },
    onState() {},
  });
  await stream.run();
  deepEqual(read, ['"Padmé"']);
});

Deno.test("LiveStream.close() cancels a stream that is being opened", async () => {
  const canceled = Promise.withResolvers<void>();
  const stream: LiveStream = new LiveStream({
    open() {
      stream.close();
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("retry: 1\n\n")),
        cancel: () => canceled.resolve(),
      });
      return Promise.resolve(new Response(body));
    },
    onEvents() {},
    onState() {},
  });
  await stream.run();
  await canceled.promise;
});
