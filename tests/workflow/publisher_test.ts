import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { DeliveryError } from "../../lib/workflow/delivery_error.ts";
import type { Destination } from "../../lib/workflow/destination.ts";
import { Outbox } from "../../lib/workflow/outbox.ts";
import type { DeliveryOptions } from "../../lib/workflow/publisher.ts";
import type { SerializedEvent } from "../../lib/workflow/serialized_event.ts";
import { FakeIngest, type FakeResponse } from "../support/fakes/ingest.ts";

const HERE = { pipeline: "p_a" };

/** Publishes events that are all known before. */
async function publish(
  destination: Destination,
  events: readonly SerializedEvent[],
  options: DeliveryOptions,
) {
  const outbox = new Outbox(destination, options);
  for (const event of events) outbox.add(event);
  return await outbox.finish();
}

function numbered(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    channel: `c${index % 3}`,
    payload: String(index),
  }));
}

/** Returns the error of a delivery, which is expected to fail. */
async function errorOf(work: Promise<unknown>): Promise<DeliveryError> {
  try {
    await work;
  } catch (error) {
    ok(error instanceof DeliveryError);
    return error;
  }
  throw new Error("Expected a DeliveryError");
}

Deno.test("publish() makes no request without events", async () => {
  const ingest = new FakeIngest();
  deepEqual(await publish(HERE, [], ingest.delivery), []);
  equal(ingest.requests.length, 0);
});

Deno.test("publish() keeps the order over requests, each with its own key", async () => {
  const ingest = new FakeIngest();
  const delivered = await publish(HERE, numbered(2500), ingest.delivery);
  deepEqual(ingest.requests.map(({ events }) => events.length), [1000, 1000, 500]);
  const sent = ingest.requests.flatMap(({ events }) => events.map(({ payload }) => payload));
  deepEqual(sent, Array.from({ length: 2500 }, (_, index) => index));
  deepEqual(
    delivered,
    numbered(2500).map(({ channel }, index) => ({ channel, id: `E-${index + 1}` })),
  );
  equal(new Set(ingest.requests.map(({ key }) => key)).size, 3);
  for (const { key } of ingest.requests) match(key, /^[0-9a-f]{32}$/);
});

Deno.test("publish() makes a request only after the answer to the one before", async () => {
  const ingest = new FakeIngest();
  let inFlight = 0;
  const { fetch } = ingest.delivery;
  await publish(HERE, numbered(3000), {
    ...ingest.delivery,
    async fetch(url, init) {
      equal(++inFlight, 1);
      const response = await fetch(url, init);
      inFlight--;
      return response;
    },
  });
});

const transient: [what: string, answer: FakeResponse][] = [
  ["a network error", new TypeError("connection refused")],
  ["429", 429],
  ["502", 502],
  ["503", 503],
  ["504", 504],
  ["an incomplete 202", () => new Response('{"events":[{"id"', { status: 202 })],
];

for (const [what, answer] of transient) {
  Deno.test(`publish() repeats a request with the same key and body after ${what}`, async () => {
    const ingest = new FakeIngest(202, answer, answer);
    const delivered = await publish(HERE, numbered(1500), ingest.delivery);
    equal(delivered.length, 1500);
    const [first, ...attempts] = ingest.requests;
    equal(attempts.length, 3);
    for (const { key, body } of attempts) {
      deepEqual([key, body], [attempts[0]!.key, attempts[0]!.body]);
    }
    notEqual(first!.key, attempts[0]!.key);
  });
}

for (const status of [400, 401, 403, 404, 413, 422, 500]) {
  Deno.test(`publish() does not repeat a request after ${status}`, async () => {
    const ingest = new FakeIngest(status);
    const error = await errorOf(publish(HERE, numbered(2), ingest.delivery));
    equal(error.status, status);
    equal(
      error.message,
      `Cannot deliver 2 of 2 events: http://localhost:8000/ingest answered ${status}`,
    );
    equal(ingest.requests.length, 1);
    deepEqual(ingest.pauses, []);
  });
}

Deno.test("publish() doubles its back-off with each attempt, up to 10 s", async () => {
  const ingest = new FakeIngest(...Array(9).fill(503));
  await publish(HERE, numbered(1), ingest.delivery);
  deepEqual(ingest.pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

Deno.test("publish() takes up to half of a back-off away, by chance", async () => {
  for (const [chance, ms] of [[0, 100], [0.5, 150], [0.999, 199.9]] as const) {
    const ingest = new FakeIngest(503);
    await publish(HERE, numbered(1), { ...ingest.delivery, random: () => chance });
    deepEqual(ingest.pauses, [ms]);
  }
});

Deno.test("publish() begins with a short back-off at the next request", async () => {
  const ingest = new FakeIngest(503, 503, 202, 503);
  await publish(HERE, numbered(1001), ingest.delivery);
  deepEqual(ingest.pauses, [200, 400, 200]);
});

const busy = (value: string) => () =>
  new Response(null, { status: 429, headers: { "Retry-After": value } });

Deno.test("publish() waits for Retry-After, in seconds or a date, and its back-off", async () => {
  const ingest = new FakeIngest(
    busy("7"),
    busy(new Date(Date.UTC(2026, 0, 1, 0, 0, 17)).toUTCString()),
  );
  await publish(HERE, numbered(1), ingest.delivery);
  deepEqual(ingest.requests.map(({ at }) => at), [0, 7200, 17_400]);
});

Deno.test("publish() stops at once when Retry-After exceeds its time", async () => {
  const ingest = new FakeIngest(busy("3600"));
  const error = await errorOf(publish(HERE, numbered(1), ingest.delivery));
  deepEqual(ingest.pauses, []);
  equal(
    error.message,
    "Cannot deliver 1 of 1 events: http://localhost:8000/ingest answered 429. Gave up at attempt 1",
  );
});

Deno.test("publish() stops after a minute or maxMs, for all requests together", async () => {
  for (const maxMs of [undefined, 1000]) {
    const ingest = new FakeIngest(202, ...Array(100).fill(new TypeError("refused")));
    const options: DeliveryOptions = maxMs === undefined ? {} : { maxMs };
    const work = publish(HERE, numbered(2500), { ...ingest.delivery, ...options });
    const error = await errorOf(work);
    const took = ingest.requests.at(-1)!.at;
    ok(took < (maxMs ?? 60_000), `${took}`);
    ok(took > (maxMs ?? 60_000) / 2, `${took}`);
    equal(error.status, null);
    match(error.message, /^Cannot deliver 1500 of 2500 events: .* Gave up at attempt \d+$/);
    match(String(error.cause), /refused/);
  }
});

Deno.test("publish() limits each attempt to the rest of its time", async () => {
  const since = performance.now();
  const error = await errorOf(
    publish(HERE, numbered(1), { maxMs: 60, fetch: () => new Promise(() => {}) }),
  );
  equal(error.status, null);
  ok(performance.now() - since < 1000);
});

Deno.test("publish() calls onRetry before each further attempt", async () => {
  const ingest = new FakeIngest(503, new TypeError("refused"));
  const reasons: string[] = [];
  const onRetry = (reason: string) => void reasons.push(reason);
  await publish(HERE, numbered(1), { ...ingest.delivery, onRetry });
  deepEqual(reasons, [
    "http://localhost:8000/ingest answered 503",
    "http://localhost:8000/ingest did not answer",
  ]);
});

Deno.test("publish() rejects with the delivered and the unsent events, in order", async () => {
  const ingest = new FakeIngest(202, 403);
  const error = await errorOf(publish(HERE, numbered(2500), ingest.delivery));
  equal(ingest.requests.length, 2);
  equal(error.name, "DeliveryError");
  deepEqual(
    error.delivered,
    numbered(1000).map(({ channel }, index) => ({
      channel,
      id: `E-${index + 1}`,
    })),
  );
  deepEqual(error.unsent.map(({ events }) => events.length), [1000, 500]);
  deepEqual(
    error.unsent.flatMap(({ events }) => events),
    numbered(2500).slice(1000).map(({ channel, payload }) => ({ channel, payload: +payload })),
  );
  equal(error.unsent[0]!.idempotencyKey, ingest.requests[1]!.key);
  notEqual(error.unsent[0]!.idempotencyKey, error.unsent[1]!.idempotencyKey);
});

Deno.test("publish() refuses an invalid destination", async () => {
  const ingest = new FakeIngest();
  const work = publish({ pipeline: "a" }, numbered(1), ingest.delivery);
  await rejects(work, { name: "TypeError", message: /^Cannot send to pipeline "a"/ });
  equal(ingest.requests.length, 0);
});
