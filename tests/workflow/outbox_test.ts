import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { DeliveryError } from "../../lib/workflow/delivery_error.ts";
import { Outbox, type OutboxOptions } from "../../lib/workflow/outbox.ts";
import { GatedIngest } from "../support/fakes/gated_ingest.ts";
import { FakeIngest } from "../support/fakes/ingest.ts";
import { flush } from "../support/wait.ts";

const HERE = { pipeline: "p_a" };

function open(ingest: FakeIngest | GatedIngest, options: OutboxOptions = {}): Outbox {
  return new Outbox(HERE, { ...ingest.delivery, ...options });
}

function add(outbox: Outbox, ...payloads: unknown[]): void {
  for (const payload of payloads) outbox.add({ channel: "c", payload: JSON.stringify(payload) });
}

async function errorOf(work: Promise<unknown>): Promise<DeliveryError> {
  const error = await work.then(() => null, (error: unknown) => error);
  ok(error instanceof DeliveryError);
  return error;
}

const unsentOf = ({ unsent }: DeliveryError) =>
  unsent.flatMap(({ events }) => events.map(({ payload }) => payload));

Deno.test("Outbox.add() sends nothing until Outbox.send()", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest);
  add(outbox, 1, 2);
  await flush();
  equal(ingest.requests.length, 0);
  void outbox.send();
  await flush();
  deepEqual(ingest.payloads, [[1, 2]]);
  ingest.answer();
  deepEqual((await outbox.finish()).length, 2);
});

Deno.test("Outbox sends what comes while a request is in flight in the next one, if live", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest, { live: true });
  add(outbox, 1, 2);
  await flush();
  add(outbox, 3);
  await flush();
  add(outbox, 4);
  await flush();
  deepEqual(ingest.payloads, [[1, 2]]);
  ingest.answer();
  await flush();
  deepEqual(ingest.payloads, [[1, 2], [3, 4]]);
  ingest.answer();
  await flush();
  add(outbox, 5);
  await flush();
  deepEqual(ingest.payloads, [[1, 2], [3, 4], [5]]);
  ingest.answer();
  const delivered = await outbox.finish();
  deepEqual(delivered.map(({ id }) => id), ["E-1", "E-2", "E-3", "E-4", "E-5"]);
});

Deno.test("Outbox repeats a request after a transient failure, before the next one", async () => {
  const ingest = new FakeIngest(503, new TypeError("refused"), 202);
  const outbox = open(ingest, { live: true });
  add(outbox, 1);
  await Promise.resolve();
  await Promise.resolve();
  add(outbox, 2);
  await outbox.finish();
  const bodies = ingest.requests.map(({ body }) => body);
  deepEqual(bodies.slice(0, 2), [bodies[0], bodies[0]]);
  deepEqual(ingest.requests.map(({ events }) => events.map(({ payload }) => payload)), [
    [1],
    [1],
    [1],
    [2],
  ]);
  equal(new Set(ingest.requests.map(({ key }) => key)).size, 2);
});

Deno.test("Outbox stops at the first request that fails, and reports all that is unsent", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest, { live: true });
  add(outbox, 1);
  await flush();
  add(outbox, 2, 3);
  ingest.answer();
  await flush();
  add(outbox, 4);
  ingest.answer(403);
  await flush();
  add(outbox, 5);
  await flush();
  equal(ingest.requests.length, 2);
  ok(outbox.stopped.aborted);
  const error = await errorOf(outbox.finish());
  equal(error.message, "Cannot deliver 4 of 5 events: http://localhost:8000/ingest answered 403");
  equal(error.status, 403);
  deepEqual(error.delivered, [{ channel: "c", id: "E-1" }]);
  deepEqual(unsentOf(error), [2, 3, 4, 5]);
  equal(error.unsent[0]!.idempotencyKey, ingest.requests[1]!.key);
});

Deno.test("Outbox reports unsent events with the same keys in each error", async () => {
  const ingest = new FakeIngest(403);
  const outbox = open(ingest);
  add(outbox, 1);
  const first = await errorOf(outbox.flush());
  add(outbox, 2);
  const second = await errorOf(outbox.flush());
  add(outbox, 3);
  const last = await errorOf(outbox.finish());
  deepEqual([first, second, last].map(unsentOf), [[1], [1, 2], [1, 2, 3]]);
  deepEqual(last.unsent.slice(0, 2), second.unsent);
  notEqual(last.unsent[1]!.idempotencyKey, last.unsent[2]!.idempotencyKey);
  equal(ingest.requests.length, 1);
});

Deno.test("Outbox.flush() resolves when what was added before is durable", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest, { live: true });
  const done: number[] = [];
  for (const number of [1, 2, 3]) {
    add(outbox, number);
    outbox.flush().then(() => done.push(number));
    await flush();
  }
  deepEqual(done, []);
  ingest.answer();
  await flush();
  deepEqual(done, [1]);
  ingest.answer();
  await flush();
  deepEqual(done, [1, 2, 3]);
  await outbox.finish();
});

Deno.test("Outbox.flush() sends, and resolves without events", async () => {
  const ingest = new FakeIngest();
  const outbox = open(ingest);
  await outbox.flush();
  add(outbox, 1);
  await outbox.flush();
  equal(ingest.requests.length, 1);
});

for (
  const [what, payload, count] of [["64 KiB", "a".repeat(1000), 66], ["1,000 events", 1, 1000]]
) {
  Deno.test(`Outbox.room() resolves when fewer than ${what} are undelivered`, async () => {
    const ingest = new GatedIngest();
    const outbox = open(ingest);
    let added = 0;
    for (; !outbox.isFull; added++) {
      add(outbox, payload);
      void outbox.send();
      // Some are in flight, and some wait.
      if (added === 10) await flush();
    }
    equal(added, count);
    let hasRoom = false;
    const room = outbox.room().then(() => hasRoom = true);
    await flush();
    equal(hasRoom, false);
    ingest.answer();
    await room;
    ingest.answer();
    await outbox.finish();
  });
}

Deno.test("Outbox.room() counts bytes, also of a character that takes three", async () => {
  const ingest = new FakeIngest();
  const outbox = open(ingest);
  add(outbox, "€".repeat(11_000));
  equal(outbox.isFull, false);
  add(outbox, "€".repeat(11_000));
  equal(outbox.isFull, true);
  await outbox.room();
  equal(ingest.requests.length, 1);
});

Deno.test("Outbox.finish() sends what waits, then the end of the run", async () => {
  const ingest = new FakeIngest(202, 503);
  const outbox = open(ingest);
  add(outbox, 1);
  deepEqual(await outbox.finish({ end: true }), [{ channel: "c", id: "E-1" }]);
  const end = "http://localhost:8000/pipelines/p_a/end";
  deepEqual(ingest.requests.map(({ url }) => url), ["http://localhost:8000/ingest", end, end]);
  deepEqual(ingest.requests.slice(1).map(({ body }) => body), ["", ""]);
  equal(ingest.requests[1]!.key, ingest.requests[2]!.key);
  notEqual(ingest.requests[0]!.key, ingest.requests[1]!.key);
});

Deno.test("Outbox.finish() does not end the run if the delivery failed", async () => {
  const ingest = new FakeIngest(403);
  const outbox = open(ingest);
  add(outbox, 1);
  await errorOf(outbox.finish({ end: true }));
  equal(ingest.requests.length, 1);
});

Deno.test("Outbox.finish() rejects with what is delivered if the end fails", async () => {
  const ingest = new FakeIngest(202, 409);
  const outbox = open(ingest);
  add(outbox, 1);
  const error = await errorOf(outbox.finish({ end: true }));
  equal(
    error.message,
    "Cannot end the run: http://localhost:8000/pipelines/p_a/end answered 409",
  );
  deepEqual([error.status, error.delivered.length, error.unsent], [409, 1, []]);
});

Deno.test("Outbox.finish() closes the outbox at once, and stops the sources", async () => {
  const outbox = open(new FakeIngest());
  add(outbox, 1);
  const finished = outbox.finish();
  ok(outbox.isClosed && outbox.stopped.aborted);
  equal((await finished).length, 1);
});

Deno.test("Outbox rejects with the error of onRetry, and sends no more", async () => {
  const ingest = new FakeIngest(503);
  const onRetry = () => {
    throw new Error("no paper");
  };
  const outbox = open(ingest, { live: true, onRetry });
  add(outbox, 1);
  await flush();
  add(outbox, 2);
  await rejects(outbox.flush(), { message: "no paper" });
  await rejects(outbox.finish(), { message: "no paper" });
  equal(ingest.requests.length, 1);
});

Deno.test("Outbox refuses an invalid destination at once", () => {
  throws(() => new Outbox({ pipeline: "a" }), /^TypeError: Cannot send to pipeline "a"/);
});
