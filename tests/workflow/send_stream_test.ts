import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { DeliveryError } from "../../lib/workflow/delivery_error.ts";
import { Outbox } from "../../lib/workflow/outbox.ts";
import { sendStream } from "../../lib/workflow/send_stream.ts";
import { GatedIngest } from "../support/fakes/gated_ingest.ts";
import { FakeIngest } from "../support/fakes/ingest.ts";
import { flush } from "../support/wait.ts";

function open(ingest: FakeIngest | GatedIngest): Outbox {
  return new Outbox({ pipeline: "p_a" }, ingest.delivery);
}

const add = (outbox: Outbox, payload: unknown) =>
  outbox.add({ channel: "deferred", payload: JSON.stringify(payload) });

const payloads = ({ requests }: FakeIngest) =>
  requests.flatMap(({ events }) => events.map(({ payload }) => payload));

/** Source whose values the test pushes. */
class Pushed {
  #push!: (value: unknown) => void;
  #fail!: (error: unknown) => void;
  #end!: () => void;
  /** Reason with which it was canceled; absent before. */
  canceled?: { reason: unknown };
  readonly stream = new ReadableStream<unknown>({
    start: (controller) => {
      this.#push = (value) => controller.enqueue(value);
      this.#fail = (error) => controller.error(error);
      this.#end = () => controller.close();
    },
    cancel: (reason) => {
      this.canceled = { reason };
    },
  });

  push(value: unknown): void {
    this.#push(value);
  }
  fail(error: unknown): void {
    this.#fail(error);
  }
  end(): void {
    this.#end();
  }
}

Deno.test("sendStream() sends each value as it comes, and resolves when all are durable", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest);
  const source = new Pushed();
  let count = 0;
  const sending = sendStream(outbox, { channel: "c", source: source.stream })
    .then((result) => count = result);
  source.push(1);
  await flush();
  deepEqual(ingest.payloads, [[1]]);
  source.push(2);
  source.push(3);
  await flush();
  deepEqual(ingest.payloads, [[1]]);
  ingest.answer();
  await flush();
  deepEqual(ingest.payloads, [[1], [2, 3]]);
  source.end();
  await flush();
  equal(count, 0);
  ingest.answer();
  await sending;
  equal(count, 3);
  deepEqual(ingest.requests[0]!.events, [{ pipeline: "p_a", channel: "c", payload: 1 }]);
});

Deno.test("sendStream() first sends what was deferred, before the source yields", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest);
  const source = new Pushed();
  add(outbox, "before");
  const sending = sendStream(outbox, { channel: "c", source: source.stream });
  await flush();
  deepEqual(ingest.payloads, [["before"]]);
  source.push(1);
  await flush();
  add(outbox, "between");
  source.push(2);
  source.end();
  ingest.answer();
  await flush();
  deepEqual(ingest.payloads, [["before"], [1, "between", 2]]);
  ingest.answer();
  equal(await sending, 2);
});

Deno.test("sendStream() repeats a request after a transient failure, and keeps the order", async () => {
  const ingest = new FakeIngest(503, 202, new TypeError("refused"));
  const outbox = open(ingest);
  const count = await sendStream(outbox, {
    channel: "c",
    source: (async function* () {
      for (let number = 0; number < 20; number++) {
        yield number;
        await flush();
      }
    })(),
  });
  equal(count, 20);
  const accepted = new Map(ingest.requests.map(({ key, events }) => [key, events]));
  deepEqual([...accepted.values()].flat().map(({ payload }) => payload), [...Array(20).keys()]);
  ok(accepted.size < ingest.requests.length);
});

Deno.test("sendStream() reads no further than 64 KiB ahead of what is delivered", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest);
  const payload = "a".repeat(1000);
  let pulled = 0;
  const source = new ReadableStream({
    pull(controller) {
      if (++pulled > 300) controller.close();
      else controller.enqueue(payload);
    },
  }, { highWaterMark: 0 });
  const sending = sendStream(outbox, { channel: "c", source });
  let delivered = 0;
  let largest = 0;
  while (delivered < 300) {
    await flush();
    largest = Math.max(largest, pulled - delivered);
    delivered += ingest.payloads.at(-1)!.length;
    ingest.answer();
  }
  equal(await sending, 300);
  // 65 of 1,003 bytes are less than 64 KiB.
  equal(largest, 66);
});

Deno.test("sendStream() rejects when a request fails, and cancels a source that waits", async () => {
  const ingest = new GatedIngest();
  const outbox = open(ingest);
  const source = new Pushed();
  const sending = sendStream(outbox, { channel: "c", source: source.stream });
  source.push(1);
  await flush();
  source.push(2);
  await flush();
  ingest.answer(403);
  const error = await sending.catch((error) => error);
  ok(error instanceof DeliveryError);
  equal(error.message, "Cannot deliver 2 of 2 events: http://localhost:8000/ingest answered 403");
  equal(source.canceled!.reason, error);
});

Deno.test("sendStream() reads nothing of its source after a failure", async () => {
  const outbox = open(new FakeIngest(403));
  add(outbox, 1);
  await rejects(outbox.flush(), DeliveryError);
  let pulled = 0;
  const source = new ReadableStream({ pull: () => void pulled++ }, { highWaterMark: 0 });
  await rejects(sendStream(outbox, { channel: "c", source }), DeliveryError);
  equal(pulled, 0);
});

Deno.test("sendStream() ends a generator when a request fails", async () => {
  const outbox = open(new FakeIngest(403));
  let hasEnded = false;
  async function* generate() {
    try {
      for (let number = 0;; number++) {
        yield number;
        await flush();
      }
    } finally {
      hasEnded = true;
    }
  }
  await rejects(sendStream(outbox, { channel: "c", source: generate() }), DeliveryError);
  await flush();
  ok(hasEnded);
});

Deno.test("sendStream() passes on the error of its source, and what came before is sent", async () => {
  const ingest = new FakeIngest();
  const outbox = open(ingest);
  const source = new Pushed();
  const sending = sendStream(outbox, { channel: "c", source: source.stream });
  source.push(1);
  await flush();
  source.fail(new Error("the model is gone"));
  await rejects(sending, { message: "the model is gone" });
  deepEqual((await outbox.finish()).length, 1);
  deepEqual(payloads(ingest), [1]);
});

Deno.test("sendStream() cancels its source after a value that JSON cannot hold", async () => {
  const ingest = new FakeIngest();
  const outbox = open(ingest);
  const source = new Pushed();
  const sending = sendStream(outbox, { channel: "c", source: source.stream });
  source.push(1);
  source.push(undefined);
  await rejects(sending, { name: "TypeError" });
  ok(source.canceled);
  await outbox.finish();
  deepEqual(payloads(ingest), [1]);
});

Deno.test("sendStream() stops when the outbox closes, and cancels its source", async () => {
  const ingest = new FakeIngest();
  const outbox = open(ingest);
  const source = new Pushed();
  const stopped = rejects(sendStream(outbox, { channel: "c", source: source.stream }));
  source.push(1);
  await flush();
  await outbox.finish();
  await stopped;
  ok(source.canceled);
  deepEqual(payloads(ingest), [1]);
});

for (
  const [options, message] of [
    [
      undefined,
      /^TypeError: Cannot send: channel: expected a string, got a value of type undefined/,
    ],
    [{ channel: "error" }, /^TypeError: Cannot send: channel "error": expected a name other/],
    [{ channel: "c", source: 1 }, /^TypeError: Cannot send: source: expected an async iterable/],
  ] as const
) {
  Deno.test(`sendStream() refuses ${JSON.stringify(options)}, and sends nothing`, async () => {
    const ingest = new FakeIngest();
    const outbox = open(ingest);
    add(outbox, 1);
    await rejects(sendStream(outbox, options as never), message);
    await flush();
    equal(ingest.requests.length, 0);
  });
}
