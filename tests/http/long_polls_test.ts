import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { parseEventId } from "../../lib/protocol/event.ts";
import { assertProblem, request } from "../support/clients/http.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { drain } from "../support/drain.ts";
import { numbers, publishNumbers, UNKNOWN_ID } from "../support/events.ts";
import { fail } from "../support/fakes/kv.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { seeds } from "../support/model/repetitions.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { advanceUntil, eventually, flush, until } from "../support/wait.ts";

/** The answer to a poll. */
interface Answer {
  events: { id: string; channel: string; payload: unknown }[];
  gap?: { missed: number | null; reason: string };
  end?: { id: string; events: number };
  lastEventId: string;
}

/** A poll in progress. */
interface Poll {
  answer: Promise<Answer>;
  hasAnswer: () => boolean;
}

const PATH = "/pipelines/p_a/events";

function fetchPoll(service: TestService, query: string, init: RequestInit = {}): Promise<Response> {
  return service.fetch(request(`${PATH}?${query}`, init));
}

/** Polls, and resolves when the answer is there or the poll waits. */
async function poll(service: TestService, query: string, init: RequestInit = {}): Promise<Poll> {
  let isDone = false;
  const answer = fetchPoll(service, query, init).then((response) => {
    isDone = true;
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return response.json();
  });
  answer.catch(() => {});
  await until(() => isDone || service.hub.stats.subscribers > 0);
  return { answer, hasAnswer: () => isDone };
}

function payloadsOf({ events }: Answer): unknown[] {
  return events.map(({ payload }) => payload);
}

Deno.test("A long poll answers at once if there is something to tell", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 3);
  const { answer } = await poll(service, `after=${ids[1]}&wait=30`);
  deepEqual(payloadsOf(await answer), [3]);
  const unknown = await poll(service, `after=${UNKNOWN_ID}&wait=30`);
  deepEqual((await unknown.answer).gap, { missed: null, reason: "unknown" });
  await service.hub.publish("p_a", [], { end: true });
  const ended = await poll(service, `after=${ids[2]}&wait=30`);
  const { end } = await ended.answer;
  equal(end!.events, 3);
  // A client that has the end, too, is told again, and is not to ask again.
  deepEqual((await (await poll(service, `after=${end!.id}&wait=30`)).answer).end, end);
  await assertIdle(service);
});

Deno.test("A long poll waits for the first event that its filter keeps", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const { answer, hasAnswer } = await poll(service, `after=${id}&wait=30&channel=rare`);
  await publishNumbers(service, 2, 3);
  await flush();
  equal(hasAnswer(), false);
  const rare = await service.publish("p_a", "rare", 4);
  const page = await answer;
  deepEqual(payloadsOf(page), [4]);
  equal(page.lastEventId, rare);
  await assertIdle(service);
});

Deno.test("A long poll of an unused pipeline waits for its first event", async () => {
  await using service = await startService();
  const { answer, hasAnswer } = await poll(service, "after=0&wait=30");
  equal(hasAnswer(), false);
  const id = await service.publish("p_a", "events", 1);
  equal((await answer).lastEventId, id);
  await assertIdle(service);
});

Deno.test("A long poll answers without events when its time is up", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const first = await poll(service, `after=${id}&wait=20`);
  service.clock.advance(19_999);
  await flush();
  equal(first.hasAnswer(), false);
  service.clock.advance(1);
  deepEqual(await first.answer, { pipeline: "p_a", events: [], lastEventId: id });
  // The position moves beyond what the filter passes over.
  const second = await poll(service, `after=${id}&wait=60&channel=rare`);
  const last = await service.publish("p_a", "events", 2);
  service.clock.advance(60_000);
  deepEqual(await second.answer, { pipeline: "p_a", events: [], lastEventId: last });
  const none = await poll(service, `after=${last}&wait=0`);
  equal((await none.answer).lastEventId, last);
  await assertIdle(service);
});

Deno.test("A long poll ends with the run", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const { answer } = await poll(service, `after=${id}&wait=30`);
  await service.hub.publish("p_a", [], { end: true });
  const { end, lastEventId } = await answer;
  deepEqual([end!.events, lastEventId], [1, id]);
  await assertIdle(service);
});

Deno.test("A long poll ends when the pipeline is deleted, and goes on over a clear", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const { answer, hasAnswer } = await poll(service, `after=${id}&wait=30`);
  await service.hub.clear("p_a");
  await flush();
  equal(hasAnswer(), false);
  await advanceUntil(service.clock, service.hub.delete("p_a"));
  const { gap, lastEventId } = await answer;
  deepEqual(gap, { missed: null, reason: "unknown" });
  const next = await poll(service, `after=${lastEventId}&wait=30`);
  await advanceUntil(service.clock, service.publish("p_a", "events", 2));
  deepEqual(payloadsOf(await next.answer), [2]);
});

Deno.test("A long poll answers lines as well, and has no body for HEAD, which does not wait", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const answer = fetchPoll(service, `after=${id}&wait=30`, {
    headers: { Accept: "application/x-ndjson" },
  });
  await until(() => service.hub.stats.subscribers === 1);
  const head = await fetchPoll(service, `after=${id}&wait=30`, { method: "HEAD" });
  equal(head.headers.get("Last-Event-ID"), id);
  await service.publish("p_a", "events", 2);
  equal(JSON.parse(await (await answer).text()).payload, 2);
  await assertIdle(service);
});

for (
  const query of [
    "after=0&wait=61",
    "after=0&wait=-1",
    "after=0&wait=1.5",
    "wait=5",
    "after=0&wiat=5",
  ]
) {
  Deno.test(`GET /pipelines/:pipeline/events refuses ?${query}`, async () => {
    await using service = await startService();
    await assertProblem(await fetchPoll(service, query), 400, "malformed-request");
    await assertIdle(service);
  });
}

Deno.test("A long poll is counted as a subscriber until its connection is closed", async () => {
  await using service = await startService({
    settings: { RUNNEL_MAX_SUBSCRIBERS: "1", RUNNEL_MAX_HISTORIES: "1" },
  });
  const [id] = await publishNumbers(service, 1, 1);
  const closed = Promise.withResolvers<void>();
  const answer = service.fetch(request(`${PATH}?after=${id}&wait=5`), {
    completed: closed.promise,
  });
  await until(() => service.hub.stats.subscribers === 1);
  deepEqual([service.hub.stats.places, service.hub.stats.histories], [1, 0]);
  await assertProblem(await fetchPoll(service, "after=0&wait=5"), 503, "overloaded");
  // A page that nobody waits for has a place of its own.
  equal((await fetchPoll(service, "after=0")).status, 200);
  service.clock.advance(5000);
  await (await answer).body!.cancel();
  equal(service.hub.stats.places, 1);
  await assertProblem(await fetchPoll(service, `after=0&wait=5`), 503, "overloaded");
  closed.resolve();
  await flush();
  equal((await fetchPoll(service, "after=0&wait=5")).status, 200);
  await assertIdle(service);
});

Deno.test("RUNNEL_MAX_ADDRESS_SUBSCRIBERS rejects one more long poll with 429", async () => {
  await using service = await startService({ settings: { RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1" } });
  const from = { remoteAddr: { transport: "tcp", hostname: "192.0.2.1", port: 1 } } as const;
  const answer = service.fetch(request(`${PATH}?after=0&wait=5`), from);
  await until(() => service.hub.stats.subscribers === 1);
  const refused = await service.fetch(request(`${PATH}?after=0&wait=5`), from);
  await assertProblem(refused, 429, "too-many-requests");
  service.clock.advance(5000);
  equal((await answer).status, 200);
  await (await answer).body!.cancel();
  await assertIdle(service);
});

Deno.test("A long poll of a client that leaves frees its place", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const client = new AbortController();
  await poll(service, `after=${id}&wait=30`, { signal: client.signal });
  equal(service.hub.stats.places, 1);
  client.abort();
  await assertIdle(service);
});

Deno.test("A long poll over a connection that is cut frees its place at once", async () => {
  await using service = await serveService();
  const client = new AbortController();
  const answer = fetch(`${service.url}${PATH}?after=0&wait=60`, { signal: client.signal });
  await eventually("the poll waits", () => service.hub.stats.subscribers === 1);
  client.abort();
  await answer.catch(() => {});
  await eventually(
    "its place is free",
    () => service.hub.stats.places === 0 && service.handling === 0,
  );
  await assertIdle(service);
});

Deno.test("A long poll ends at a drain with what there is, and is refused from then on", async () => {
  const service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const { answer, hasAnswer } = await poll(service, `after=${id}&wait=30`);
  await service.hub.stopPublishing(0);
  await flush();
  equal(hasAnswer(), false);
  await assertProblem(await fetchPoll(service, `after=${id}&wait=30`), 503, "draining");
  await service.hub.close();
  deepEqual(payloadsOf(await answer), []);
  await service.log.close();
});

Deno.test("A long poll at a drain has the events that were accepted before", async () => {
  const service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const { answer } = await poll(service, `after=${id}&wait=30&channel=other`);
  // Passed over, so that it still waits.
  const last = await service.publish("p_a", "events", 2);
  await drain(service.hub);
  equal((await answer).lastEventId, last);
  await service.log.close();
});

Deno.test("A long poll is answered 503 if the log does not answer", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  service.kv.script("get", fail());
  await assertProblem(
    await fetchPoll(service, `after=${id}&wait=30`),
    503,
    "log-unavailable",
  );
  await assertIdle(service);
});

Deno.test("A long poll ends with its token, and has only the channels of it", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const now = service.clock.now();
  const headers = bearerHeader(
    await mint({ subscribe: ["p_a"], channels: ["a"] }, now + 10_000),
  );
  const { answer, hasAnswer } = await poll(service, "after=0&wait=60", { headers });
  await service.hub.publish("p_a", [{ channel: "b", payload: new TextEncoder().encode("1") }]);
  await flush();
  equal(hasAnswer(), false);
  service.clock.advance(10_000);
  deepEqual(payloadsOf(await answer), []);
  await assertIdle(service);
});

Deno.test("Many polls that an event wakes share few reads", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const answers = numbers(1, 300).map(() => fetchPoll(service, `after=${id}&wait=30`));
  await until(() => service.hub.stats.subscribers === 300);
  const { next } = service.kv.calls;
  await publishNumbers(service, 2, 2);
  for (const answer of answers) deepEqual(payloadsOf(await (await answer).json()), [2]);
  ok(service.kv.calls.next - next <= 20, `${service.kv.calls.next - next} reads`);
  await assertIdle(service);
});

for (const seed of seeds(6)) {
  Deno.test(`A client that polls in a loop misses nothing and gets nothing twice (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    await using service = await startService({
      settings: {
        RUNNEL_RETENTION: random.pick(["1", "1000"]),
        RUNNEL_HISTORY: "1",
      },
    });
    const { clock } = service;
    const channel = random.pick(["", "&channel=a"]);
    const limit = random.pick([1, 2, 1000]);
    let published = 0;
    const received: number[] = [];
    let gaps = 0;
    let isOver = false;
    // Of events that were removed before its first answer, a client of 0 is told nothing.
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();

    const client = (async () => {
      let after = "0";
      let last = { epoch: "", sequence: 0 };
      while (true) {
        // Sometimes it is away.
        if (random.chance(0.2)) { for (let i = 0; i < 5; i++) await flush(); }
        // An answer that was on its way at the end may lack the last events.
        const isLast = isOver;
        const response = await fetchPoll(
          service,
          `after=${after}&wait=${random.pick([1, 2])}&limit=${limit}${channel}`,
        );
        // The clock was advanced while the log was read.
        if (response.status === 503) {
          await response.body!.cancel();
          continue;
        }
        equal(response.status, 200);
        const { events, gap, lastEventId }: Answer = await response.json();
        begin();
        const position = parseEventId(lastEventId)!;
        if (gap) gaps++;
        if (gap?.missed === null || last.epoch === "") {
          last = { epoch: position.epoch, sequence: -1 };
        }
        equal(position.epoch, last.epoch, "another log without a gap");
        let missed = gap?.missed ?? 0;
        for (const { id, payload } of events) {
          const { epoch, sequence } = parseEventId(id)!;
          equal(epoch, position.epoch);
          // Without a filter, each event follows the one before, or as many are told.
          if (channel === "" && last.sequence >= 0) equal(sequence, last.sequence + missed + 1);
          ok(sequence > last.sequence);
          missed = 0;
          last = { epoch, sequence };
          received.push(payload as number);
        }
        ok(position.sequence >= last.sequence);
        if (channel === "" && last.sequence >= 0) equal(position.sequence, last.sequence + missed);
        last = position;
        after = lastEventId;
        if (isLast && events.length === 0 && !response.headers.has("Link")) return;
      }
    })();
    const publisher = (async () => {
      await begun;
      for (let step = 0; step < 40; step++) {
        const kind = random.integer(0, 19);
        if (kind === 0) await service.hub.clear("p_a");
        else if (kind === 1) await service.hub.delete("p_a");
        // Old enough to be evicted by the next ones.
        else if (kind < 5) clock.advance(61_000);
        else {
          for (let i = random.pick([1, 1, 5]); i > 0; i--) {
            await service.publish("p_a", random.pick(["a", "b"]), ++published);
          }
        }
        if (random.chance(0.5)) { for (let i = random.integer(0, 4); i > 0; i--) await flush(); }
      }
      await service.publish("p_a", "a", ++published);
      isOver = true;
    })();
    await advanceUntil(clock, Promise.all([client, publisher]), 100);
    deepEqual(received, received.toSorted((a, b) => a - b));
    equal(new Set(received).size, received.length);
    equal(received.at(-1), published);
    if (gaps === 0 && channel === "") deepEqual(received, numbers(1, published));
    await flush();
    const { places, subscribers, histories } = service.hub.stats;
    deepEqual([places, subscribers, histories], [0, 0, 0]);
  });
}
