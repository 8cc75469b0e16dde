import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import type { RunnelError } from "../../lib/base/errors.ts";
import { MAX_BODY_BYTES } from "../../lib/protocol/event_rules.ts";
import { BodyRoom } from "../../lib/http/body_room.ts";
import { readBody as readBodyWithin } from "../../lib/http/request_body.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";
import { sendRaw, serveLocally } from "../support/servers/local_server.ts";
import { eventually, flush } from "../support/wait.ts";

function post(body: BodyInit | null, headers: HeadersInit = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

/** A body that arrives in parts, so that it has no `Content-Length`. */
function inParts(parts: Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  return ReadableStream.from(parts);
}

const MAX_MS = 1000;

function readBody(
  request: Request,
  maxBytes = MAX_BODY_BYTES,
  clock = new FakeClock(),
  { room = new BodyRoom(Infinity), draining = new AbortController().signal, shutdown }: {
    room?: BodyRoom;
    draining?: AbortSignal;
    shutdown?: AbortSignal;
  } = {},
) {
  return readBodyWithin(request, {
    maxBytes,
    maxMs: MAX_MS,
    runtime: { clock },
    reserve: (bytes, isMore) => room.reserve(null, bytes, isMore),
    draining,
    shutdown,
  });
}

Deno.test("readBody() rejects a stalled body after its maximum time", async () => {
  for (const headers of [{}, { "Content-Length": "10" }]) {
    const clock = new FakeClock();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const reading = readBody(post(readable, headers), MAX_BODY_BYTES, clock);
    const refused = rejects(reading, { type: "request-timeout" });
    await writer.write(encodeUtf8("1"));
    await flush();
    clock.advance(MAX_MS - 1);
    await flush();
    clock.advance(1);
    await refused;
    equal(clock.liveTimers, 0);
    // A body that is read in parts is cancelled by then.
    await writer.close().catch(() => {});
  }
});

/** A clock that counts the timers that were started. */
class CountingClock extends FakeClock {
  started = 0;

  override after(ms: number, run: () => void): Disposable {
    this.started++;
    return super.after(ms, run);
  }
}

Deno.test("readBody() starts no timer for a small body that came with its head", async () => {
  const clock = new CountingClock();
  const read: string[] = [];
  await using server = serveLocally(async (request) => {
    read.push(decodeUtf8(await readBody(request, MAX_BODY_BYTES, clock)));
    return new Response();
  });
  const answer = await fetch(server.url, { method: "POST", body: '{"n":1}' });
  await answer.body?.cancel();
  deepEqual([read, clock.started], [['{"n":1}'], 0]);
});

Deno.test("readBody() rejects a small body of which a part is missing after its maximum time", async () => {
  const clock = new CountingClock();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  await using server = serveLocally(async (request) => {
    await readBody(request, MAX_BODY_BYTES, clock).then(resolve, resolve);
    return new Response(null, { headers: { Connection: "close" } });
  });
  const head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
  using _connection = await sendRaw(server.port, `${head}12345`);
  await eventually("the body is waited for", () => clock.started === 1);
  clock.advance(MAX_MS);
  equal((await promise as RunnelError).type, "request-timeout");
  equal(clock.liveTimers, 0);
});

const TOO_LARGE = { name: "RunnelError", type: "too-large" };

Deno.test("readBody() reads an empty body, and a request without one", async () => {
  equal((await readBody(post(""))).length, 0);
  equal((await readBody(post(null))).length, 0);
  equal((await readBody(post(inParts([])))).length, 0);
});

Deno.test("readBody() keeps each byte, including a byte order mark and NUL", async () => {
  const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0, 0xff, 10, 13);
  deepEqual(await readBody(post(bytes)), bytes);
});

Deno.test("readBody() accepts 512 KiB, and not one byte more", async () => {
  equal(MAX_BODY_BYTES, 512 * 1024);
  equal((await readBody(post(new Uint8Array(MAX_BODY_BYTES)))).length, MAX_BODY_BYTES);
  await rejects(readBody(post(new Uint8Array(MAX_BODY_BYTES + 1))), TOO_LARGE);
});

for (const announced of [true, false]) {
  const how = announced ? "with" : "without";
  const make = (text: string) =>
    announced
      ? post(text, { "Content-Length": String(text.length) })
      : post(inParts([...text].map(encodeUtf8)));

  Deno.test(`readBody() reads up to the limit ${how} Content-Length`, async () => {
    equal(decodeUtf8(await readBody(make("1234"), 4)), "1234");
  });

  Deno.test(`readBody() rejects one byte over the limit ${how} Content-Length`, async () => {
    await rejects(readBody(make("12345"), 4), {
      ...TOO_LARGE,
      message: "Cannot read body: it exceeds 4 bytes. Send less in one request",
    });
  });
}

Deno.test("readBody() does not trust a Content-Length that is too small", async () => {
  await rejects(readBody(post("12345", { "Content-Length": "1" }), 4), TOO_LARGE);
});

Deno.test("readBody() rejects an announced length over the limit before it reads", async () => {
  let pulls = 0;
  const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
  await rejects(readBody(post(body, { "Content-Length": "5" }), 4), TOO_LARGE);
  equal(pulls, 0);
});

Deno.test("readBody() cancels an upload that exceeds the limit", async () => {
  let pulls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream({
    pull(controller) {
      pulls++;
      controller.enqueue(encodeUtf8("123"));
    },
    cancel: () => resolve(),
  }, { highWaterMark: 0 });
  await rejects(readBody(post(body), 4), TOO_LARGE);
  await promise;
  equal(pulls, 2);
});

Deno.test("readBody() reads many small parts as one, in order", async () => {
  const text = Array.from({ length: 10_000 }, (_, i) => String(i)).join(",");
  const parts = [...text].map(encodeUtf8);
  equal(decodeUtf8(await readBody(post(inParts(parts)))), text);
});

Deno.test("readBody() copies parts, which may be views of much larger buffers", async () => {
  // A part that is not copied changes with the buffer that all parts share.
  const buffer = new Uint8Array(1);
  const parts = function* () {
    for (const byte of encodeUtf8("12345")) {
      buffer[0] = byte;
      yield buffer;
    }
  };
  equal(decodeUtf8(await readBody(post(inParts(parts())))), "12345");
});

Deno.test("readBody() ignores empty parts", async () => {
  const parts = ["", "1", "", "2", ""].map(encodeUtf8);
  equal(decodeUtf8(await readBody(post(inParts(parts)))), "12");
});

for (const coding of ["gzip", "GZIP", "br", "deflate", "identity, gzip", "unknown"]) {
  Deno.test(`readBody() rejects Content-Encoding ${coding}`, async () => {
    await rejects(readBody(post("1", { "Content-Encoding": coding })), {
      name: "RunnelError",
      type: "unsupported-media-type",
    });
  });
}

Deno.test("readBody() accepts the encoding identity", async () => {
  equal(decodeUtf8(await readBody(post("1", { "Content-Encoding": "Identity" }))), "1");
});

for (const [when, parts] of [["at once", []], ["mid-way", [encodeUtf8("123")]]] as const) {
  Deno.test(`readBody() rejects a body that ends early, ${when}, as malformed`, async () => {
    const cause = new Error("connection reset");
    await rejects(readBody(post(inParts(breakOff(parts, cause)))), {
      name: "RunnelError",
      type: "malformed-request",
      message: "Cannot read body: it ended early. Send it again",
      cause,
    });
  });
}

function* breakOff(parts: readonly Uint8Array[], cause: Error): Generator<Uint8Array> {
  yield* parts;
  throw cause;
}

for (const length of [1, 3, 5, 100_000]) {
  Deno.test(`readBody() rejects 4 bytes of which ${length} were announced as malformed`, async () => {
    const headers = { "Content-Length": String(length) };
    await rejects(readBody(post("1234", headers)), {
      type: "malformed-request",
      message: "Cannot read body: it ended early. Send it again",
    });
  });
}

for (const headers of [{}, { "Content-Length": "100000" }]) {
  const how = Object.keys(headers).length > 0 ? "of a known length" : "of an unknown length";

  Deno.test(`readBody() holds at most twice the room of what has arrived, ${how}`, async () => {
    const room = new BodyRoom(Infinity);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const reading = readBody(post(readable, headers), MAX_BODY_BYTES, new FakeClock(), { room });
    const held = [room.bytes];
    for (const bytes of [1, 4095, 1, 10_000, 85_903]) {
      await writer.write(new Uint8Array(bytes));
      await flush();
      held.push(room.bytes);
    }
    deepEqual(held, [4096, 4096, 4096, 8192, 16_384, 100_000]);
    await writer.close();
    equal((await reading).length, 100_000);
    equal(room.bytes, 0);
  });

  Deno.test(`readBody() refuses a body ${how} that finds no room, before it reads`, async () => {
    let pulls = 0;
    const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
    const room = new BodyRoom(4095);
    await rejects(readBody(post(body, headers), MAX_BODY_BYTES, new FakeClock(), { room }), {
      type: "overloaded",
      message: "Cannot read body: too much arrives at once. Nothing was stored; try again",
    });
    deepEqual([pulls, room.bytes], [0, 0]);
  });

  Deno.test(`readBody() cancels a body ${how} that finds no more room`, async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(5000)),
      cancel: () => resolve(),
    }, { highWaterMark: 0 });
    const room = new BodyRoom(10_000);
    await rejects(readBody(post(body, headers), MAX_BODY_BYTES, new FakeClock(), { room }), {
      type: "overloaded",
    });
    await promise;
    equal(room.bytes, 0);
  });

  Deno.test(`readBody() drops a body ${how} that takes too long`, async () => {
    const clock = new FakeClock();
    const { promise, resolve } = Promise.withResolvers<void>();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(5000)),
      cancel: () => resolve(),
    });
    const room = new BodyRoom(10_000);
    const reading = readBody(post(body, headers), MAX_BODY_BYTES, clock, { room });
    await flush();
    equal(room.bytes, 8192);
    clock.advance(MAX_MS);
    await rejects(reading, { type: "request-timeout" });
    await promise;
    deepEqual([room.bytes, clock.liveTimers], [0, 0]);
  });
}

Deno.test("readBody() reserves the length of a small body before it reads", async () => {
  let pulls = 0;
  const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
  const room = new BodyRoom(1000);
  const large = post(body, { "Content-Length": "1001" });
  await rejects(readBody(large, MAX_BODY_BYTES, new FakeClock(), { room }), { type: "overloaded" });
  deepEqual([pulls, room.bytes], [0, 0]);
  const small = post("1".repeat(1000), { "Content-Length": "1000" });
  equal((await readBody(small, MAX_BODY_BYTES, new FakeClock(), { room })).length, 1000);
  equal(room.bytes, 0);
});

Deno.test("readBody() reads a body during a drain, and reports one that the drain cuts off", async () => {
  const draining = AbortSignal.abort();
  const read = (body: BodyInit) =>
    readBody(post(body), MAX_BODY_BYTES, new FakeClock(), { draining });
  equal(decodeUtf8(await read("1234")), "1234");
  const cause = new Error("the server is shut down");
  await rejects(read(inParts(breakOff([encodeUtf8("123")], cause))), {
    type: "draining",
    message: "Cannot read body: the instance is about to end. Nothing was stored; send it again",
    cause,
  });
});

Deno.test("readBody() reports a body that the shutdown of a full server cuts off", async () => {
  const shutdown = AbortSignal.abort();
  const cause = new Error("the server is shut down");
  const body = post(inParts(breakOff([encodeUtf8("123")], cause)));
  await rejects(readBody(body, MAX_BODY_BYTES, new FakeClock(), { shutdown }), {
    type: "overloaded",
    message: "Cannot read body: the instance is full. Nothing was stored; send it again",
    cause,
  });
});

Deno.test("readBody() rejects a body of an unknown length whose connection was aborted", async () => {
  const controller = new AbortController();
  const body = new ReadableStream({
    pull(stream) {
      stream.enqueue(encodeUtf8("half"));
      stream.close();
      controller.abort();
    },
  }, { highWaterMark: 0 });
  const request = new Request(post(body), { signal: controller.signal });
  await rejects(readBody(request), { type: "malformed-request" });
  // Chunks have an end of their own.
  const chunked = new Request(
    post(inParts([encodeUtf8("whole")]), { "Transfer-Encoding": "chunked" }),
    {
      signal: controller.signal,
    },
  );
  equal(decodeUtf8(await readBody(chunked)), "whole");
});
