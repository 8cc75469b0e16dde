import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { deliver, type DeliveryOptions } from "../../lib/workflow/delivery.ts";
import { DeliveryError } from "../../lib/workflow/delivery_error.ts";
import { type Answer, FakeIngest } from "../support/fake_ingest.ts";

const HERE = { pipeline: "p_a" };

function numbered(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    channel: `c${index % 3}`,
    payload: String(index),
  }));
}

/** The failure of a delivery that is to fail. */
async function failureOf(work: Promise<unknown>): Promise<DeliveryError> {
  try {
    await work;
  } catch (error) {
    ok(error instanceof DeliveryError);
    return error;
  }
  throw new Error("It was delivered");
}

Deno.test("deliver() asks nobody where there are no events", async () => {
  const ingest = new FakeIngest();
  deepEqual(await deliver(HERE, [], ingest.delivery), []);
  equal(ingest.requests.length, 0);
});

Deno.test("deliver() keeps the order over requests, each with a key of its own", async () => {
  const ingest = new FakeIngest();
  const delivered = await deliver(HERE, numbered(2500), ingest.delivery);
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

Deno.test("deliver() makes a request only when the one before was answered", async () => {
  const ingest = new FakeIngest();
  let underWay = 0;
  const { fetch } = ingest.delivery;
  await deliver(HERE, numbered(3000), {
    ...ingest.delivery,
    async fetch(url, init) {
      equal(++underWay, 1);
      const response = await fetch(url, init);
      underWay--;
      return response;
    },
  });
});

const passing: [what: string, answer: Answer][] = [
  ["a network error", new TypeError("connection refused")],
  ["429", 429],
  ["502", 502],
  ["503", 503],
  ["504", 504],
  ["202 whose body breaks off", () => new Response('{"events":[{"id"', { status: 202 })],
];

for (const [what, answer] of passing) {
  Deno.test(`deliver() repeats a request that met ${what}, with the same key and body`, async () => {
    const ingest = new FakeIngest(202, answer, answer);
    const delivered = await deliver(HERE, numbered(1500), ingest.delivery);
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
  Deno.test(`deliver() does not repeat a request that was answered ${status}`, async () => {
    const ingest = new FakeIngest(status);
    const error = await failureOf(deliver(HERE, numbered(2), ingest.delivery));
    equal(error.status, status);
    equal(
      error.message,
      `Cannot deliver 2 of 2 events: http://localhost:8000/ingest answered ${status}`,
    );
    equal(ingest.requests.length, 1);
    deepEqual(ingest.pauses, []);
  });
}

Deno.test("deliver() waits twice as long each time, up to 10 s", async () => {
  const ingest = new FakeIngest(...Array(9).fill(503));
  await deliver(HERE, numbered(1), ingest.delivery);
  deepEqual(ingest.pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

Deno.test("deliver() waits half as long at least, by chance", async () => {
  for (const [chance, ms] of [[0, 100], [0.5, 150], [0.999, 199.9]] as const) {
    const ingest = new FakeIngest(503);
    await deliver(HERE, numbered(1), { ...ingest.delivery, random: () => chance });
    deepEqual(ingest.pauses, [ms]);
  }
});

Deno.test("deliver() begins with a short pause again at the next request", async () => {
  const ingest = new FakeIngest(503, 503, 202, 503);
  await deliver(HERE, numbered(1001), ingest.delivery);
  deepEqual(ingest.pauses, [200, 400, 200]);
});

const busy = (value: string) => () =>
  new Response(null, { status: 429, headers: { "Retry-After": value } });

Deno.test("deliver() waits for what Retry-After says, in seconds or until a date, and a bit", async () => {
  const ingest = new FakeIngest(
    busy("7"),
    busy(new Date(Date.UTC(2026, 0, 1, 0, 0, 17)).toUTCString()),
  );
  await deliver(HERE, numbered(1), ingest.delivery);
  deepEqual(ingest.requests.map(({ at }) => at), [0, 7200, 17_400]);
});

Deno.test("deliver() gives up at once where Retry-After is beyond its time", async () => {
  const ingest = new FakeIngest(busy("3600"));
  const error = await failureOf(deliver(HERE, numbered(1), ingest.delivery));
  deepEqual(ingest.pauses, []);
  equal(
    error.message,
    "Cannot deliver 1 of 1 events: http://localhost:8000/ingest answered 429. Gave up at attempt 1",
  );
});

Deno.test("deliver() gives up within a minute, or what it is given, for all requests together", async () => {
  for (const maxMs of [undefined, 1000]) {
    const ingest = new FakeIngest(202, ...Array(100).fill(new TypeError("refused")));
    const options: DeliveryOptions = maxMs === undefined ? {} : { maxMs };
    const work = deliver(HERE, numbered(2500), { ...ingest.delivery, ...options });
    const error = await failureOf(work);
    const took = ingest.requests.at(-1)!.at;
    ok(took < (maxMs ?? 60_000), `${took}`);
    ok(took > (maxMs ?? 60_000) / 2, `${took}`);
    equal(error.status, null);
    match(error.message, /^Cannot deliver 1500 of 2500 events: .* Gave up at attempt \d+$/);
    match(String(error.cause), /refused/);
  }
});

Deno.test("deliver() bounds each attempt by what is left of its time", async () => {
  const since = performance.now();
  const error = await failureOf(
    deliver(HERE, numbered(1), { maxMs: 60, fetch: () => new Promise(() => {}) }),
  );
  equal(error.status, null);
  ok(performance.now() - since < 1000);
});

Deno.test("deliver() tells of each attempt that it repeats", async () => {
  const ingest = new FakeIngest(503, new TypeError("refused"));
  const reasons: string[] = [];
  const onRetry = (reason: string) => void reasons.push(reason);
  await deliver(HERE, numbered(1), { ...ingest.delivery, onRetry });
  deepEqual(reasons, [
    "http://localhost:8000/ingest answered 503",
    "http://localhost:8000/ingest did not answer",
  ]);
});

Deno.test("deliver() rejects with what was delivered and what was not, in order", async () => {
  const ingest = new FakeIngest(202, 403);
  const error = await failureOf(deliver(HERE, numbered(2500), ingest.delivery));
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

Deno.test("deliver() refuses a destination that is none", async () => {
  const ingest = new FakeIngest();
  const work = deliver({ pipeline: "a" }, numbered(1), ingest.delivery);
  await rejects(work, { name: "TypeError", message: /^Cannot send to pipeline "a"/ });
  equal(ingest.requests.length, 0);
});
