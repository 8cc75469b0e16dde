import { ok, strictEqual as equal } from "node:assert/strict";
import { EventSource } from "eventsource";
import { type ConnectionState, subscribe, type SubscribeOptions } from "../../lib/client/mod.ts";
import { block, clientClock, Collected, live } from "../support/clients/scripted_service.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { findReadme } from "../support/readme.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { eventually, flush } from "../support/wait.ts";

const README = findReadme("lib/client/README.md");

/** Behavior of a client after a failure, as the table says it. */
type Outcome = "Comes back" | "Follows" | "Gives up" | "Ends" | "Rejects" | "Waits";

const STREAM = { headers: { "Content-Type": "text/event-stream" } };
const encoder = new TextEncoder();

/** Returns a stream that sends a text and stays open, or does more. */
function stream(text: string, then = (_: ReadableStreamDefaultController) => {}): Response {
  const body = new ReadableStream({
    start(controller) {
      if (text) controller.enqueue(encoder.encode(text));
      then(controller);
    },
  });
  return new Response(body, STREAM);
}

/** One kind of a failure: answers to the first request and to all later ones. */
interface Failure {
  /** First answer. */
  fail: (url: URL) => Response;
  /** Answer to those that come back. The default is a stream that is live and stays open. */
  then?: (url: URL) => Response;
  /** Whether the first answer leads to a stream. */
  isFollowed?: boolean;
  /** Options of the client. */
  options?: (url: string) => Partial<SubscribeOptions>;
  /** Moves the clock of the client once it waits: by seconds, until it has come back. */
  pass?: (clock: FakeClock) => void;
  /** Longest time after which the client comes back, in milliseconds. */
  withinMs?: number;
  transport?: ConnectionState["transport"];
}

const status = (status: number) => ({ fail: () => new Response("", { status }) });
const getToken = ({ reason }: { reason: string }) => `t-${reason}`;

/** The failures of each row of the table. */
const ROWS: Record<string, Failure[]> = {
  "The stream ends": [{
    fail: () => stream(`retry: 10\n${live("e-1")}`, (controller) => controller.close()),
  }],
  "The connection is cut": [{
    fail: () => {
      const { body } = stream(`retry: 10\n${live("e-1")}`, (controller) => controller.close());
      // It ends before it is whole.
      return new Response(body, { headers: { ...STREAM.headers, "Content-Length": "1000" } });
    },
  }],
  "408, 425, 429": [408, 425, 429].map(status),
  "500, 502, 503, 504": [500, 502, 503, 504].map(status),
  "A redirect to the stream": [301, 302, 303, 307, 308].map((status) => ({
    fail: ({ origin }) =>
      new Response(null, { status, headers: { Location: `${origin}/elsewhere` } }),
    isFollowed: true,
  })),
  "A redirect to a page to sign in": [{
    fail: ({ origin }) => Response.redirect(`${origin}/sign-in`, 302),
  }],
  "204: it has all events of an ended run": [{
    fail: () => new Response(null, { status: 204 }),
  }],
  "400, 404": [400, 404].map(status),
  "401, 403": [401, 403].map((code) => ({ ...status(code), options: () => ({ getToken }) })),
  "Its session ends": [{
    fail: () =>
      stream(
        `retry: 10\n${block("runnel.expired", { reason: "expired" }, "e-1")}`,
        (controller) => controller.close(),
      ),
    then: (url) =>
      url.searchParams.get("ticket") === "expired"
        ? stream(live("e-1"))
        : new Response("", { status: 403 }),
    options: (url) => ({
      getUrl: ({ reason }) => `${url}/pipelines/p_a/sse?ticket=${reason}`,
    }),
  }],
  "Nothing arrives any more": [{
    fail: () => stream(live("e-1")),
    pass: (clock) => clock.advance(1000),
    withinMs: 42_000,
  }],
  "An event has no end": [{
    fail: () => stream(`retry: 10\n${live("e-1")}data: ${"x".repeat(1_200_000)}`),
    pass: (clock) => clock.advance(100),
    // Long before it would be cut for its silence.
    withinMs: 10_000,
  }],
  "The machine was asleep": [{
    fail: () => stream(live("e-1")),
    // An hour, in which no timer runs.
    pass: (clock) => {
      if (clock.now() < Date.UTC(2026, 0, 1, 1)) clock.set(clock.now() + 3_600_000);
      clock.advance(1000);
    },
    withinMs: 3_600_000 + 7000,
  }],
  "A proxy holds the stream back": [{
    fail: () => stream(""),
    then: () => stream(`retry: 100\n${live("e-1")}`, (controller) => controller.close()),
    pass: (clock) => clock.advance(500),
    withinMs: 6000,
    transport: "poll",
  }],
};

/** Serves a failure, and counts the requests for streams. */
function serveFailure({ fail, then = () => stream(live("e-1")) }: Failure) {
  const requests: URL[] = [];
  const server = serveLocally((request) => {
    const url = new URL(request.url);
    if (url.pathname === "/elsewhere") return Promise.resolve(stream(live("e-1")));
    if (url.pathname === "/sign-in") {
      return Promise.resolve(new Response("<p>", { headers: { "Content-Type": "text/html" } }));
    }
    return Promise.resolve(requests.push(url) === 1 ? fail(url) : then(url));
  });
  return { server, requests };
}

/** Lets an `EventSource` meet a failure. */
async function tryEventSource(failure: Failure): Promise<Outcome> {
  const { server, requests } = serveFailure(failure);
  await using _server = server;
  const source = new EventSource(`${server.url}/pipelines/p_a/sse?ticket=start`);
  try {
    if (failure.pass) {
      // Nothing happens by itself: there is nothing to wait for but a while.
      await eventually("it is connected", () => requests.length > 0);
      for (let turn = 0; turn < 20; turn++) await flush();
      return requests.length === 1 && source.readyState !== source.CLOSED ? "Waits" : "Comes back";
    }
    await eventually("its outcome is known", () =>
      source.readyState === source.CLOSED ||
      source.readyState === source.OPEN && (requests.length > 1 || failure.isFollowed === true));
    if (source.readyState === source.CLOSED) return "Gives up";
    return requests.length > 1 ? "Comes back" : "Follows";
  } finally {
    source.close();
  }
}

/** Lets the client meet a failure. */
async function tryClient(failure: Failure): Promise<Outcome> {
  const { server, requests } = serveFailure(failure);
  await using _server = server;
  const clock = new FakeClock();
  const begin = clock.now();
  let sent = 0;
  await using subscription = subscribe(server.url, {
    pipelines: "p_a",
    fetch(url, init) {
      sent++;
      return fetch(url, init);
    },
    clock: clientClock(clock),
    random: () => 0.5,
    ...failure.options?.(server.url),
  });
  const collected = new Collected(subscription);
  await eventually("it is connected", () => requests.length > 0);
  const isKnown = () =>
    collected.isOver ||
    subscription.state.name === "live" && (requests.length > 1 || failure.isFollowed === true);
  await eventually("its outcome is known", async () => {
    if (isKnown()) return true;
    const { name } = subscription.state;
    // No time passes while a request is on its way.
    if (failure.pass && sent === requests.length && (name === "live" || requests.length === 1)) {
      await flush();
      failure.pass(clock);
    } else if (name === "waiting") clock.advance(500);
    return false;
  });
  if (collected.isOver) return collected.error ? "Rejects" : "Ends";
  ok(clock.now() - begin <= (failure.withinMs ?? Infinity), `${clock.now() - begin} ms`);
  equal(subscription.state.transport, failure.transport ?? "stream");
  return requests.length > 1 ? "Comes back" : "Follows";
}

for (const [name, failures] of Object.entries(ROWS)) {
  Deno.test(`The table of failures has what clients do: ${name}`, async () => {
    const [, eventSource, client] = README.rows("Failures").find(([cell]) => cell === name)!;
    for (const failure of failures) {
      const outcome = await tryEventSource(failure);
      ok(eventSource!.startsWith(outcome), `EventSource: ${outcome}`);
      const clientOutcome = await tryClient(failure);
      ok(client!.startsWith(clientOutcome), `@runnel/client: ${clientOutcome}`);
    }
  });
}

Deno.test("The table of failures has a test for each row", () => {
  equal(
    README.rows("Failures").map(([name]) => name).join("\n"),
    Object.keys(ROWS).join("\n"),
  );
});
