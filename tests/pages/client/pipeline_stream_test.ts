import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { subscribe } from "../../../lib/pages/client/shared.js";
import {
  PipelineStream,
  type StreamClient,
  type StreamState,
} from "../../../lib/pages/client/pipeline_stream.js";
import { Refusal } from "../../../lib/pages/shared/refusal.js";

const PATH = "/pipelines/p_a/sse";

const LIVE = 'id: a-2\nevent: runnel.live\ndata: {"replayed":0}\n\n';

const END = 'id: a-3\nevent: runnel.end\ndata: {"events":2}\n\n';

/** An event stream, or a status. */
type Answer = string | number;

function createResponse(answer: Answer): Response {
  if (typeof answer === "string") {
    return new Response(answer, { headers: { "Content-Type": "text/event-stream" } });
  }
  if (answer === 204) return new Response(null, { status: 204 });
  return Response.json({ detail: `Refused by ${answer}` }, { status: answer });
}

/** Describes a request as the service sees it. */
function describe(url: URL, { headers }: RequestInit): string {
  const sent = new Headers(headers);
  const parts = [url.pathname + url.search, sent.get("Authorization"), sent.get("Last-Event-ID")];
  return parts.filter((part) => part).join(" ");
}

/** Runs a stream with one answer for each request. Its waits are over at once. */
async function follow(
  answers: readonly Answer[],
  client: Partial<StreamClient> = {},
  onRefused = (stream: PipelineStream) => stream.close(),
) {
  const requests: string[] = [];
  const events: string[] = [];
  const states: string[] = [];
  const slots: string[] = [];
  const rest = [...answers];
  const options = {
    random: () => 0,
    clock: {
      now: Date.now,
      after(ms: number, run: () => void) {
        // But not those of the watchdog.
        const timer = ms < 5000 ? setTimeout(run) : undefined;
        return () => clearTimeout(timer);
      },
    },
    fetch(url: URL, init: RequestInit) {
      requests.push(describe(url, init));
      return Promise.resolve(createResponse(rest.shift()!));
    },
  };
  const stream: PipelineStream = new PipelineStream({
    client: Object.assign(client, {
      pipeline: "p_a",
      token: "",
      needsTicket: false,
      renewToken: () => Promise.reject(new Refusal("No token")),
      requestTicket: () => Promise.reject(new Refusal("No ticket")),
      ...client,
    }),
    origin: "http://localhost",
    lastEventId: "a-1",
    onEvent: (event) => events.push(event.type === "event" ? event.data : event.type),
    onState(state: StreamState) {
      states.push(state.name === "refused" ? `refused: ${state.reason}` : state.name);
      if (state.name === "refused") queueMicrotask(() => onRefused(stream));
    },
    subscribe: (url, others) => subscribe(url, { ...others, ...options }),
    holdSlot() {
      slots.push("held");
      return Promise.resolve(() => slots.push("released"));
    },
  });
  await stream.run();
  deepEqual(slots, ["held", "released"]);
  return { stream, requests, events, states };
}

Deno.test("PipelineStream continues after the newest ID, counts reconnects, and ends", async () => {
  const event = 'id: a-2\nevent: orders\ndata: {"n":1.0}\n\n';
  const { stream, requests, events, states } = await follow([event + LIVE, 503, LIVE + END]);
  deepEqual(requests, [`${PATH} a-1`, `${PATH} a-2`, `${PATH} a-2`]);
  deepEqual(events, ['{"n":1.0}', "live", "live", "end"]);
  deepEqual(states, [
    ...["connecting", "catching-up", "live", "waiting"],
    ...["connecting", "waiting"],
    ...["connecting", "catching-up", "live", "ended"],
  ]);
  equal(stream.reconnects, 1);
  equal(stream.lastEventId, "a-3");
});

Deno.test("PipelineStream ends if the service has nothing to send after the end of the run", async () => {
  const { requests, states } = await follow([204]);
  equal(requests.length, 1);
  deepEqual(states, ["connecting", "ended"]);
});

Deno.test("PipelineStream tells the reason of a refusal, and goes on with retryNow()", async () => {
  const { requests, states } = await follow([404, LIVE + END], {}, (stream) => stream.retryNow());
  equal(requests.length, 2);
  deepEqual(states.slice(0, 3), ["connecting", "refused: Refused by 404", "connecting"]);
  equal(states.at(-1), "ended");
});

Deno.test("PipelineStream.close() ends a stream that was refused", async () => {
  const { states } = await follow([404]);
  deepEqual(states, ["connecting", "refused: Refused by 404"]);
});

Deno.test("PipelineStream sends the token of the page, and renews it when it is refused", async () => {
  let renewed = 0;
  const client = {
    token: "old",
    renewToken() {
      renewed++;
      return Promise.resolve("new");
    },
  };
  const { requests, states } = await follow([401, LIVE + END], client);
  deepEqual(requests, [`${PATH} Bearer old a-1`, `${PATH} Bearer new a-1`]);
  equal(renewed, 1);
  deepEqual(states, ["connecting", "catching-up", "live", "ended"]);
});

Deno.test("PipelineStream stops when the user enters no token", async () => {
  const { requests, states } = await follow([401]);
  equal(requests.length, 1);
  deepEqual(states, ["connecting", "refused: No token"]);
});

Deno.test("PipelineStream opens its streams by tickets if the token gets only these", async () => {
  let tickets = 0;
  const client = {
    token: "publisher",
    needsTicket: false,
    renewToken() {
      client.needsTicket = true;
      return Promise.resolve("publisher");
    },
    requestTicket: () => Promise.resolve(`http://localhost${PATH}?ticket=${++tickets}`),
  };
  const { requests } = await follow([403, 403, LIVE, 403, LIVE + END], client);
  deepEqual(requests, [
    `${PATH} Bearer publisher a-1`,
    `${PATH} Bearer publisher a-1`,
    `${PATH}?ticket=1 a-1`,
    // The session of the ticket is over.
    `${PATH}?ticket=1 a-2`,
    `${PATH}?ticket=2 a-2`,
  ]);
});
