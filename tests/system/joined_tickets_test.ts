import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { EventSource } from "eventsource";
import { splitEventIds } from "../../lib/protocol/event.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import {
  bearerHeader,
  mint,
  PUBLISH_TOKEN,
  SECRET,
  TOKEN_SETTINGS,
} from "../support/clients/tokens.ts";
import { lastEventIdHeader } from "../support/events.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { REPEAT_MS } from "../support/tickets.ts";
import { eventually } from "../support/wait.ts";

const PIPELINES = ["p_a", "p_b", "p_c"];

/** Publishes a number to each pipeline with the token of the operator. */
async function publish(url: string, number: number, pipelines = PIPELINES): Promise<void> {
  for (const pipeline of pipelines) {
    const response = await fetch(`${url}/ingest/${pipeline}/numbers`, {
      method: "POST",
      headers: { ...bearerHeader(PUBLISH_TOKEN), "Content-Type": "application/json" },
      body: String(number),
    });
    equal(response.status, 202);
    await response.body?.cancel();
  }
}

async function ticketUrl(url: string): Promise<string> {
  const response = await fetch(`${url}/tickets`, {
    method: "POST",
    headers: bearerHeader(await mint({ subscribe: ["p_*"] })),
    body: JSON.stringify({ pipelines: PIPELINES }),
  });
  equal(response.status, 201);
  return (await response.json()).url;
}

/** Opens a stream by its URL alone, and records what it receives. */
function listen(url: string) {
  const source = new EventSource(url);
  const got = new Map(PIPELINES.map((pipeline) => [pipeline, [] as number[]]));
  const record = { source, got, lastEventId: "", expired: [] as string[] };
  for (const [pipeline, numbers] of got) {
    source.addEventListener(`${pipeline}/numbers`, ({ data, lastEventId }) => {
      numbers.push(Number(data));
      record.lastEventId = lastEventId;
    });
  }
  source.addEventListener("runnel.expired", ({ data }) => record.expired.push(data));
  return record;
}

type Listener = ReturnType<typeof listen>;

/** Waits until a listener has the numbers up to one from each pipeline, each once. */
async function expectNumbers({ got }: Listener, last: number): Promise<void> {
  await eventually(`it has all up to ${last}`, () => {
    return [...got.values()].every((numbers) => numbers.length >= last);
  });
  const all = Array.from({ length: last }, (_, index) => index + 1);
  deepEqual([...got], PIPELINES.map((pipeline) => [pipeline, all]));
}

async function statusOf(url: string, lastEventId?: string): Promise<number> {
  const response = await fetch(url, {
    headers: lastEventId ? lastEventIdHeader(lastEventId) : {},
  });
  await response.body?.cancel();
  return response.status;
}

async function deleteTickets(url: string, pipeline: string): Promise<void> {
  const response = await fetch(`${url}/pipelines/${pipeline}/tickets`, {
    method: "DELETE",
    headers: bearerHeader(PUBLISH_TOKEN),
  });
  equal(response.status, 204);
}

for (const isolates of ["1", "2"]) {
  Deno.test(`An EventSource with a ticket for three pipelines goes on when ${isolates} isolate(s) restart, until one is revoked`, async () => {
    await using folder = new DataFolder();
    const settings = {
      ...TOKEN_SETTINGS,
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      RUNNEL_RETRY_MS: "20",
      RUNNEL_KEEPALIVE_MS: "1000",
    };
    await using stack = new AsyncDisposableStack();
    const before = stack.use(await Program.start(settings));
    const { url } = before;
    const ticket = await ticketUrl(url);
    const listener = listen(ticket);
    stack.defer(() => listener.source.close());
    await publish(url, 1);
    await expectNumbers(listener, 1);

    before.kill("SIGTERM");
    equal(await before.exit(), 0);
    const after = stack.use(await Program.start({ ...settings, PORT: new URL(url).port }));
    await publish(url, 2);
    await expectNumbers(listener, 2);

    // A reader of one pipeline has copied the URL, and knows IDs of that one.
    const [a, , c] = splitEventIds(listener.lastEventId);
    equal(await statusOf(ticket, a), 403);
    equal(await statusOf(ticket, `${a}.${a}.${c}`), 403);
    await publish(url, 3);
    await expectNumbers(listener, 3);

    await deleteTickets(url, "p_b");
    await eventually("its client is told", () => listener.expired.length > 0);
    deepEqual(listener.expired, ['{"reason":"revoked"}']);
    await eventually("it does not come back", () => {
      return listener.source.readyState === listener.source.CLOSED;
    });
    await publish(url, 4);
    await expectNumbers(listener, 3);

    const secret = new URL(ticket).searchParams.get("ticket")!;
    for (const said of [before.errors, after.errors, before.output, after.output]) {
      for (const word of [secret, PUBLISH_TOKEN, SECRET, "eyJ"]) ok(!said.includes(word), said);
    }
  });
}

Deno.test("An EventSource with a ticket for three pipelines misses nothing by cuts and takeovers, until it expires", async () => {
  const sessionMs = 60_000;
  await using service = await serveService({
    clock: new FakeClock(),
    settings: {
      ...TOKEN_SETTINGS,
      RUNNEL_SESSION_MS: `${sessionMs}`,
      RUNNEL_RETRY_MS: "50",
      // The fake clock must not end the connection as stalled.
      RUNNEL_KEEPALIVE_MS: "600000",
    },
  });
  const { url } = service;
  const ticket = await ticketUrl(url);
  const listener = listen(ticket);
  using _source = { [Symbol.dispose]: () => listener.source.close() };
  await publish(url, 1);
  await expectNumbers(listener, 1);
  service.clock.advance(REPEAT_MS);
  equal(await statusOf(ticket), 403);

  await service.cut(async () =>
    await service.hub.publish("p_b", [{
      channel: "numbers",
      payload: new TextEncoder().encode("2"),
    }])
  );
  await publish(url, 2, ["p_a", "p_c"]);
  await expectNumbers(listener, 2);

  // Another stream of it, and then the client comes back by itself.
  const response = await fetch(ticket, { headers: lastEventIdHeader(listener.lastEventId) });
  equal(response.status, 200);
  const taken = new StreamReader(response);
  await taken.until("no such event");
  await publish(url, 3);
  await expectNumbers(listener, 3);
  await eventually("one stream is left", () => service.hub.stats.subscribers === 1);
  equal(service.tickets.size, PIPELINES.length);
  deepEqual(listener.expired, []);

  service.clock.advance(sessionMs - REPEAT_MS);
  await eventually("its client is told", () => listener.expired.length > 0);
  deepEqual(listener.expired, ['{"reason":"expired"}']);
  await eventually("it does not come back", () => {
    return listener.source.readyState === listener.source.CLOSED;
  });
  equal(await statusOf(ticket, listener.lastEventId), 403);
});
