import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { FIRST } from "../support/certificates/certificates.ts";
import { append, line, lines, openAppend, RawAppend } from "../support/clients/appender.ts";
import { liveMarker, numbers, readReplay } from "../support/events.ts";
import { type ServedTestService, serveService } from "../support/servers/serve_service.ts";
import { assertIdle } from "../support/service.ts";
import { eventually, flush } from "../support/wait.ts";

const MiB = 1024 * 1024;

/** Waits until a number of events is stored. */
async function stored(service: ServedTestService, count: number): Promise<void> {
  await eventually(`${count} events are stored`, () => service.metrics.events.value >= count);
}

/** Asserts the events of the pipeline, and that nothing is left of the append. */
async function assertLeft(service: ServedTestService, last: number): Promise<void> {
  await eventually("the append has ended", () => service.handling === 0);
  deepEqual(await readReplay(service), [...numbers(1, last), liveMarker(last)]);
  await assertIdle(service);
}

/** Resolves once the answer is sent, and lets the time pass after which the connection is closed. */
async function closes(service: ServedTestService): Promise<void> {
  await eventually("it is answered", () => service.handling === 0 && service.clock.liveTimers > 0);
  service.clock.advance(1000);
}

// A bad line

for (const pair of [null, FIRST]) {
  const scheme = pair ? "HTTPS" : "HTTP";
  Deno.test(`An append over ${scheme} is answered and its connection closed when a line is bad and the client goes on`, async () => {
    await using service = await serveService({ pair });
    const tls = pair && { caCerts: [pair.cert] };
    using client = await RawAppend.open(service.port, { ...tls });
    await client.write(`${lines(1, 2)}{}\n`);
    const sending = (async () => {
      for (let number = 3; number < 1e6; number++) await client.write(line(number));
    })().catch((error: unknown) => error);
    const answered = client.answer({ untilClosed: true });
    answered.catch(() => {});
    await closes(service);
    const { lastEventId, ...answer } = await answered;
    deepEqual(answer, { status: 422, accepted: 2, type: "invalid-event" });
    match(lastEventId!, /-2$/);
    ok(await sending instanceof Error, "the connection is closed");
    await assertLeft(service, 2);
  });
}

Deno.test("An append over HTTP/2 with a bad line harms no other stream of its connection", async () => {
  await using service = await serveService({ pair: FIRST });
  using client = Deno.createHttpClient({ caCerts: [FIRST.cert], http2: true, http1: false });
  const other = openAppend(service, { client });
  await other.write(line(1));
  await stored(service, 1);
  // More than the windows of the stream and of the connection.
  for (let round = 0; round < 4; round++) {
    const bad = openAppend(service, { client });
    bad.write("{}\n").catch(() => {});
    for (let sent = 0; sent < 2; sent++) bad.write(`${" ".repeat(MiB)}\n`).catch(() => {});
    const answer = await bad.answer;
    deepEqual([answer.status, answer.accepted], [422, 0]);
  }
  await other.write(lines(2, 3));
  await stored(service, 3);
  await other.close();
  const { status, accepted } = await other.answer;
  deepEqual([status, accepted], [200, 3]);
  await assertLeft(service, 3);
});

// A client that goes away

const farewells: [name: string, leave: (client: RawAppend) => Promise<void> | void][] = [
  ["closes its sending side", (client) => client.closeWrite()],
  ["closes the connection", (client) => client[Symbol.dispose]()],
];

for (const [name, leave] of farewells) {
  Deno.test(`An append keeps what came whole when its client ${name} in the middle of a line`, async () => {
    await using service = await serveService();
    using client = await RawAppend.open(service.port);
    await client.write(lines(1, 2) + line(3).slice(0, -2));
    await stored(service, 2);
    await leave(client);
    await assertLeft(service, 2);
  });
}

Deno.test("An append keeps what came whole when its connection is reset in the middle of a line", async () => {
  await using service = await serveService();
  const headers = { Expect: "100-continue" };
  using client = await RawAppend.open(service.port, { headers });
  await client.write(lines(1, 2) + line(3).slice(0, -1));
  await stored(service, 2);
  // What was not read, 100 Continue, makes the system reset the connection.
  client[Symbol.dispose]();
  await assertLeft(service, 2);
});

Deno.test("An append whose body is whole stands when its client closes its sending side", async () => {
  await using service = await serveService();
  using client = await RawAppend.open(service.port);
  await client.write(lines(1, 3));
  await client.end();
  await client.closeWrite();
  await stored(service, 3);
  await assertLeft(service, 3);
});

Deno.test("An append is answered when its client stalls, and its connection closed when more comes", async () => {
  await using service = await serveService({ settings: { RUNNEL_APPEND_IDLE_MS: "5000" } });
  using client = await RawAppend.open(service.port);
  await client.write(lines(1, 2));
  await stored(service, 2);
  service.clock.advance(4999);
  await flush();
  equal(service.handling, 1);
  service.clock.advance(1);
  const { status, accepted } = await client.answer();
  deepEqual([status, accepted], [408, 2]);
  await closes(service);
  await client.write("\n");
  equal(await client.read(), "");
  await assertLeft(service, 2);
});

Deno.test("An append with Expect: 100-continue is told to go on", async () => {
  await using service = await serveService();
  using client = await RawAppend.open(service.port, { headers: { Expect: "100-continue" } });
  const first = await client.read((text) => text.includes("\r\n\r\n"));
  equal(first, "HTTP/1.1 100 Continue\r\n\r\n");
  await client.write(lines(1, 2));
  await client.end();
  const { status, accepted } = await client.answer();
  deepEqual([status, accepted], [200, 2]);
});

// Back-pressure

for (const http2 of [false, true]) {
  Deno.test(`An append over HTTP/${http2 ? 2 : 1.1} is held up while the store stops, and loses nothing`, async () => {
    await using service = await serveService({ pair: FIRST });
    using client = Deno.createHttpClient({ caCerts: [FIRST.cert], http2, http1: !http2 });
    const release = Promise.withResolvers<void>();
    service.kv.fallback = (call) => async (carryOut) => {
      if (call === "commit") await release.promise;
      return await carryOut();
    };
    const filler = "x".repeat(16 * 1024);
    // More than the buffers of two sockets, or the window of a stream.
    const total = (http2 ? 4 : 12) * MiB / filler.length;
    let taken = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (taken === total) return controller.close();
        controller.enqueue(new TextEncoder().encode(line(`${++taken} ${filler}`)));
      },
    }, { highWaterMark: 0 });
    const answer = append(service, body, { client });
    let before = -1;
    await eventually("it is held up", async () => {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return taken > 0 && taken === before;
    });
    ok(taken < total);
    release.resolve();
    const { status, accepted } = await answer;
    deepEqual([status, accepted], [200, total]);
  });
}
