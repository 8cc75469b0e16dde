import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { appendPath, line, lines } from "../support/clients/appender.ts";
import { CANCEL, Http2Connection, INTERNAL_ERROR, NO_ERROR } from "../support/clients/http2.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { assertIdle, type TestService } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

const PATH = "/ingest/p_a/notes";
const TEXT = "half a sen";

/** Returns the payloads that are stored. */
async function stored(service: TestService): Promise<unknown[]> {
  const request = new Request("http://localhost/pipelines/p_a/events");
  const { events } = await (await service.fetch(request)).json();
  return events.map(({ payload }: { payload: unknown }) => payload);
}

type BreakOff = (connection: Http2Connection) => Promise<void>;

const ends: [name: string, breakOff: BreakOff][] = [
  ["a stream reset with CANCEL", (connection) => connection.reset(1, CANCEL)],
  ["a stream reset with NO_ERROR", (connection) => connection.reset(1, NO_ERROR)],
  ["a stream reset with INTERNAL_ERROR", (connection) => connection.reset(1, INTERNAL_ERROR)],
  ["GOAWAY and a close", async (connection) => {
    await connection.goAway(NO_ERROR);
    connection[Symbol.dispose]();
  }],
  ["a close", async (connection) => await connection[Symbol.dispose]()],
];

for (const [name, breakOff] of ends) {
  for (const length of ["100", "100000", null]) {
    for (const isLate of [false, true]) {
      const how = `${length ? `with a length of ${length}` : "without a length"}, ${
        isLate ? "while it is read" : "at once"
      }`;
      Deno.test(`a body over HTTP/2 that ends by ${name} is not stored, ${how}`, async () => {
        await using service = await serveService();
        using connection = await Http2Connection.open(service.port);
        await connection.post(1, PATH, length ? { "content-length": length } : {});
        await connection.data(1, TEXT);
        if (isLate) await eventually("the body is read", () => service.bodies.bytes > 0);
        await breakOff(connection);
        // Another connection is not answered before this request was.
        await eventually("the request has ended", () => service.handling === 0);
        using other = await Http2Connection.open(service.port);
        await other.post(1, PATH);
        await other.data(1, "whole", { isLast: true });
        equal(JSON.parse(await other.body(1)).events.length, 1);
        deepEqual(await stored(service), ["whole"]);
        await assertIdle(service);
      });
    }
  }
}

for (const [name, breakOff] of ends) {
  for (const isLate of [false, true]) {
    Deno.test(`an append over HTTP/2 that ends by ${name} keeps whole lines alone, ${isLate ? "while it is read" : "at once"}`, async () => {
      await using service = await serveService();
      using connection = await Http2Connection.open(service.port);
      await connection.post(1, appendPath(), { "content-type": "application/x-ndjson" });
      // The last line looks whole.
      await connection.data(1, lines(1, 2) + line(3).trimEnd());
      if (isLate) await eventually("it is read", () => service.metrics.events.value === 2);
      await breakOff(connection);
      await eventually("the request has ended", () => service.handling === 0);
      const kept = await stored(service);
      deepEqual(kept, kept.length === 0 && !isLate ? [] : [1, 2]);
      await assertIdle(service);
    });
  }
}

Deno.test("bodies over HTTP/2 that break off at any moment are not stored", async () => {
  await using service = await serveService();
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let round = 0; round < 40; round++) {
      using connection = await Http2Connection.open(service.port);
      await connection.post(1, PATH);
      await connection.data(1, TEXT);
      await new Promise((resolve) => setTimeout(resolve, (lane + round) % 10));
      await connection.reset(1, round % 2 === 0 ? CANCEL : NO_ERROR);
    }
  });
  await Promise.all(lanes);
  await eventually("all requests have ended", () => service.handling === 0);
  deepEqual(await stored(service), []);
  await assertIdle(service);
});

for (const length of [String(TEXT.length), null]) {
  Deno.test(`a whole body over HTTP/2 is stored ${length ? "with" : "without"} a length`, async () => {
    await using service = await serveService();
    using connection = await Http2Connection.open(service.port);
    for (const [index, parts] of [[TEXT], [...TEXT], [TEXT, ""]].entries()) {
      const stream = 2 * index + 1;
      await connection.post(stream, PATH, length ? { "content-length": length } : {});
      for (const [at, part] of parts.entries()) {
        await connection.data(stream, part, { isLast: at === parts.length - 1 });
      }
      equal(JSON.parse(await connection.body(stream)).events.length, 1);
    }
    deepEqual(await stored(service), [TEXT, TEXT, TEXT]);
    await assertIdle(service);
  });
}
