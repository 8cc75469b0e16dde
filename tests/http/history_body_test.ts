import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { EventList } from "../../lib/http/event_list.ts";
import { historyBody } from "../../lib/http/history_body.ts";
import type { HistoryPage } from "../../lib/log/history.ts";
import { numbers } from "../support/events.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

const EPOCH = "AAECAwQFBgc";
const END = `],"lastEventId":"${EPOCH}-9"}`;
const SLOW = { message: /p_a: its client reads too slowly/ };

function pageOf(first: number, last: number, isLast = false): HistoryPage {
  const events = numbers(first, last).map((sequence) => ({
    sequence,
    channel: `"${sequence}"`,
    time: 0,
    payload: new TextEncoder().encode(`${sequence}.0`),
  }));
  return { position: { epoch: EPOCH, sequence: 9 }, events, isLast };
}

/** Pages that count how many were read, and whether they were ended. */
class Pages {
  read = 0;
  ended = false;
  readonly #pages: readonly (HistoryPage | Error)[];

  constructor(...pages: readonly (HistoryPage | Error)[]) {
    this.#pages = pages;
  }

  async *all(): AsyncGenerator<HistoryPage, void> {
    try {
      for (const page of this.#pages) {
        this.read++;
        await Promise.resolve();
        if (page instanceof Error) throw page;
        yield page;
      }
    } finally {
      this.ended = true;
    }
  }
}

async function open(...pages: readonly (HistoryPage | Error)[]) {
  const source = new Pages(...pages);
  const clock = new FakeClock();
  const list = new EventList("json", "p_a");
  const { position, body } = await historyBody("p_a", { pages: source.all(), list, clock });
  equal(position.sequence, 9);
  return { source, clock, reader: body.getReader() };
}

async function chunksOf(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string[]> {
  const chunks: string[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(new TextDecoder().decode(next.value));
  }
  return chunks;
}

function eventJson(sequence: number): string {
  const id = `${EPOCH}-${sequence}`;
  const time = "1970-01-01T00:00:00.000Z";
  return `{"id":"${id}","channel":"\\"${sequence}\\"","time":"${time}","payload":${sequence}.0}`;
}

Deno.test("historyBody() sends one chunk for each page", async () => {
  const { source, clock, reader } = await open(pageOf(1, 2), pageOf(3, 3), pageOf(4, 4, true));
  deepEqual(await chunksOf(reader), [
    `{"pipeline":"p_a","events":[${eventJson(1)},${eventJson(2)}`,
    `,${eventJson(3)}`,
    `,${eventJson(4)}${END}`,
  ]);
  equal(source.ended, true);
  equal(clock.liveTimers, 0);
});

Deno.test("historyBody() sends a history without events", async () => {
  const { reader } = await open(pageOf(1, 0, true));
  deepEqual(await chunksOf(reader), [`{"pipeline":"p_a","events":[${END}`]);
});

Deno.test("historyBody() ends with a page without events", async () => {
  const { reader } = await open(pageOf(1, 1), pageOf(1, 0, true));
  deepEqual(await chunksOf(reader), [`{"pipeline":"p_a","events":[${eventJson(1)}`, END]);
});

Deno.test("historyBody() reads a page when the connection asks for it", async () => {
  const { source, reader } = await open(pageOf(1, 1), pageOf(2, 2), pageOf(3, 3, true));
  await flush();
  equal(source.read, 1);
  await reader.read();
  await flush();
  equal(source.read, 1);
  await reader.read();
  equal(source.read, 2);
  await reader.cancel();
});

Deno.test("historyBody() rejects if the first page does", async () => {
  await rejects(open(new Error("log")), { message: "log" });
});

Deno.test("historyBody() ends the body with the error of a later page", async () => {
  const { clock, reader } = await open(pageOf(1, 1), new Error("log"));
  await reader.read();
  await rejects(reader.read(), { message: "log" });
  equal(clock.liveTimers, 0);
});

Deno.test("historyBody() ends the body with an error if it is not read within two minutes", async () => {
  const { source, clock, reader } = await open(pageOf(1, 1), pageOf(2, 2, true));
  await reader.read();
  clock.advance(119_999);
  await flush();
  equal(source.ended, false);
  clock.advance(1);
  await rejects(reader.read(), SLOW);
  await flush();
  equal(source.ended, true);
  equal(clock.liveTimers, 0);
});

Deno.test("historyBody() ends the body with an error after two minutes of slow reading", async () => {
  const pages = numbers(1, 10).map((i) => pageOf(i, i, i === 10));
  const { source, clock, reader } = await open(...pages);
  for (let i = 0; i < 6; i++) {
    await reader.read();
    clock.advance(20_000);
  }
  await rejects(reader.read(), SLOW);
  await flush();
  equal(source.ended, true);
  equal(clock.liveTimers, 0);
});

Deno.test("historyBody() has no deadline for a client that has all pages", async () => {
  const { clock, reader } = await open(pageOf(1, 1, true));
  equal(clock.liveTimers, 1);
  await reader.read();
  equal(clock.liveTimers, 0);
});

for (const reads of [0, 1]) {
  Deno.test(`historyBody() stops everything if the client leaves after ${reads} pages`, async () => {
    const { source, clock, reader } = await open(pageOf(1, 1), pageOf(2, 2, true));
    for (let i = 0; i < reads; i++) await reader.read();
    await reader.cancel();
    await flush();
    equal(source.ended, true);
    equal(clock.liveTimers, 0);
  });
}

Deno.test("historyBody() drops the page that is being read when the client leaves", async () => {
  const { source, clock, reader } = await open(pageOf(1, 1), pageOf(2, 2), pageOf(3, 3, true));
  await reader.read();
  const pending = reader.read();
  await reader.cancel();
  equal((await pending).done, true);
  await flush();
  equal(source.ended, true);
  equal(clock.liveTimers, 0);
});

Deno.test("historyBody() stops when the connection closes before the body is read", async () => {
  const source = new Pages(pageOf(1, 2), pageOf(3, 4, true));
  const clock = new FakeClock();
  const list = new EventList("json", "p_a");
  const { promise: connectionClosed, reject } = Promise.withResolvers<void>();
  await historyBody("p_a", { pages: source.all(), list, clock, connectionClosed });
  equal(clock.liveTimers, 1);
  reject(new Error("The connection was closed"));
  await flush();
  deepEqual([clock.liveTimers, source.ended], [0, true]);
});
