import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { EventSource as NpmEventSource } from "eventsource";
import { systemClock } from "../../lib/base/clock.ts";
import { testInChromium } from "../support/browser/chromium.ts";
import { sharedChromium } from "../support/browser/shared_chromium.ts";
import { append, lines } from "../support/clients/appender.ts";
import { openStream, type ReceivedEvent, StreamReader } from "../support/clients/stream_reader.ts";
import { bearerHeader, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { numbers } from "../support/events.ts";
import { fail, passThrough } from "../support/fakes/kv.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { eventually } from "../support/wait.ts";

const KEEP = { RUNNEL_RETRY_MS: "20" };

/** Starts a service in real time on a port. */
function start(settings: Record<string, string> = {}) {
  return serveService({ settings: { ...KEEP, ...settings }, clock: systemClock });
}

const sequenceOf = (id: string) => Number(id.split("-").at(-1));

interface Answer {
  status: number;
  type?: string;
  events?: { id: string }[];
  end?: { id: string };
}

async function post(url: string, body: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: body === null ? null : JSON.stringify(body),
  });
  return { ...await response.json(), status: response.status };
}

const publish = ({ url }: { url: string }, payload: unknown) =>
  post(`${url}/ingest`, { pipeline: "p_a", channel: "events", payload });

const end = ({ url }: { url: string }) => post(`${url}/pipelines/p_a/end`, null);

// Races

Deno.test("An end that races with publishes follows all that are accepted, and each later one is refused", async () => {
  await using service = await start();
  const streams = await Promise.all(Array.from({ length: 3 }, () => openStream(service, "p_a")));
  const accepted: number[] = [];
  const publishers = Array.from({ length: 6 }, async () => {
    for (let answer; (answer = await publish(service, 1)).status === 202;) {
      accepted.push(sequenceOf(answer.events![0]!.id));
    }
  });
  await eventually("all publish", () => accepted.length > 50);
  const ended = await end(service);
  await Promise.all(publishers);
  const last = sequenceOf(ended.end!.id);
  equal(accepted.length, last - 1);
  equal(new Set(accepted).size, accepted.length);
  ok(Math.max(...accepted) < last);
  for (const stream of streams) {
    const events = (await stream.events(Infinity)).filter(({ type }) => type !== "runnel.live");
    const { type, data } = events.pop()!;
    deepEqual([type, data], ["runnel.end", `{"events":${last - 1}}`]);
    deepEqual(events.map(({ id }) => sequenceOf(id!)), numbers(1, last - 1));
  }
});

for (const method of ["clear", "delete"] as const) {
  Deno.test(`An end that races with a ${method} leaves no stream behind`, async () => {
    await using service = await start();
    const outcomes = new Set<number>();
    for (let round = 0; round < 9; round++) {
      const stream = await openStream(service, "p_a");
      await publish(service, round);
      const work = [
        () => publish(service, "more"),
        () => end(service),
        () => service.hub[method]("p_a"),
        () => publish(service, "more"),
      ];
      // Each order of the first three in turn.
      for (let turn = 0; turn < round % 3; turn++) work.push(work.shift()!);
      await Promise.all(work.map((run) => run()));
      const { status } = await publish(service, "last");
      outcomes.add(status);
      if (status === 409) {
        const last = (await stream.events(Infinity)).at(-1)!;
        equal(last.type, "runnel.end");
        const late = await openStream(service, "p_a");
        equal((await late.events(Infinity)).at(-1)!.type, "runnel.end");
      } else {
        equal(status, 202);
        // The run of before may have ended on this stream, and another one begun.
        let event: ReceivedEvent | null;
        while ((event = await stream.event()) && event.data !== '"last"');
        await stream.cancel();
      }
      await service.hub.delete("p_a");
    }
    if (method === "clear") deepEqual([...outcomes], [409]);
  });
}

// EventSource

interface Source extends AsyncDisposable {
  received: string[];
  /** Whether it never comes back. */
  isClosed: () => Promise<boolean>;
}

function ofClass(Class: typeof EventSource | typeof NpmEventSource, url: string): Source {
  const source = new Class(url);
  const received: string[] = [];
  for (const type of ["events", "runnel.end", "runnel.gap"]) {
    (source as EventTarget).addEventListener(type, (event) => {
      received.push((event as MessageEvent<string>).data);
    });
  }
  return {
    received,
    isClosed: () => Promise.resolve(source.readyState === source.CLOSED),
    [Symbol.asyncDispose]: () => Promise.resolve(source.close()),
  };
}

async function inChromium(url: string): Promise<Source> {
  const page = await sharedChromium().newPage();
  const received: string[] = [];
  await page.exposeFunction("receive", (data: string) => received.push(data));
  await page.goto(new URL("/healthz", url).href);
  await page.evaluate(`
    source = new EventSource(${JSON.stringify(url)});
    for (const type of ["events", "runnel.end", "runnel.gap"]) {
      source.addEventListener(type, ({ data }) => receive(data));
    }
  `);
  return {
    received,
    isClosed: async () => await page.evaluate<number>("source.readyState") === 2,
    [Symbol.asyncDispose]: () => page.close(),
  };
}

const sources: [
  name: string,
  test: typeof testInChromium,
  open: (url: string) => Source | Promise<Source>,
][] = [
  ["The package eventsource", Deno.test, (url) => ofClass(NpmEventSource, url)],
  ["Deno's EventSource", Deno.test, (url) => ofClass(EventSource, url)],
  ["An EventSource in Chromium", testInChromium, inChromium],
];

for (const [name, test, open] of sources) {
  for (const withTicket of [false, true]) {
    test(`${name} ${withTicket ? "with a ticket " : ""}stops at the end of a run, and not when the store fails`, async () => {
      let requests = 0;
      await using service = await serveService({
        clock: systemClock,
        settings: { ...KEEP, ...withTicket && TOKEN_SETTINGS },
        guard(request) {
          if (request.url.includes("/sse")) requests++;
          return null;
        },
      });
      let url = `${service.url}/pipelines/p_a/sse`;
      if (withTicket) {
        const headers = bearerHeader(PUBLISH_TOKEN);
        const answer = await fetch(url.replace("sse", "tickets"), { method: "POST", headers });
        url = (await answer.json()).url;
      }
      const say = (...payloads: unknown[]) =>
        service.hub.publish(
          "p_a",
          payloads.map((payload) => ({
            channel: "events",
            payload: new TextEncoder().encode(JSON.stringify(payload)),
          })),
        );
      await say(1, 2);
      await using source = await open(url);
      await eventually("it has the history", () => source.received.length === 2);
      let tries = 0;
      await service.cut(() => {
        service.kv.fallback = (call) => call === "commit" ? passThrough : fail();
        tries = requests;
        return Promise.resolve();
      });
      await eventually("it comes back in vain", () => requests > tries + 2);
      equal(await source.isClosed(), false);
      service.kv.fallback = () => passThrough;
      await say(3);
      await eventually("it goes on", () => source.received.length === 3);
      await service.hub.publish("p_a", [], { end: true });
      await eventually("it stops", () => source.isClosed());
      deepEqual(source.received, ["1", "2", "3", '{"events":3}']);
      equal(service.hub.stats.subscribers, 0);
      deepEqual(service.hub.stats.places, 0);
    });
  }
}

// A long replay

Deno.test("The session of a ticket goes on in the middle of a history of 10,000 events that is cut", async () => {
  await using service = await start({ ...TOKEN_SETTINGS });
  const total = 10_000;
  const headers = bearerHeader(PUBLISH_TOKEN);
  equal((await append(service, lines(1, total), { headers })).status, 200);
  await service.hub.publish("p_a", [], { end: true });
  const tickets = `${service.url}/pipelines/p_a/tickets`;
  const answer = await fetch(tickets, { method: "POST", headers });
  const url = `${(await answer.json()).url}&history=all`;
  const received: string[] = [];
  let lastEventId = "";
  let connections = 0;
  for (let status = 200; status !== 204;) {
    const response = await fetch(url, { headers: { "Last-Event-ID": lastEventId } });
    ({ status } = response);
    if (status === 204) break;
    equal(status, 200, await (status === 200 ? "" : response.text()));
    const stream = new StreamReader(response);
    connections++;
    for (let count = 0; count < 2500; count++) {
      const event = await stream.event();
      if (!event) break;
      if (event.type === "events") received.push(event.data);
      else ok(["runnel.live", "runnel.end"].includes(event.type), event.type);
      lastEventId = event.id ?? lastEventId;
    }
    await stream.cancel();
  }
  deepEqual(received.map(Number), numbers(1, total));
  equal(connections, 5);
  equal(service.hub.stats.places, 0);
});
