import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import {
  append,
  type AppendAnswer,
  line,
  lines,
  openAppend,
  RawAppend,
  readStanding,
} from "../support/clients/appender.ts";
import { openStream, type StreamReader } from "../support/clients/stream_reader.ts";
import { numbers } from "../support/events.ts";
import { readOpenMetrics } from "../support/open_metrics.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { DenoKv, testWithDenokv } from "../support/stores/denokv.ts";
import { eventually } from "../support/wait.ts";

/** Time that a platform gives a process after its signal, in milliseconds. */
const DRAIN_MS = 5000;

const KEY = { "Idempotency-Key": "run" };

const portOf = ({ url }: Program) => Number(new URL(url).port);

/** Reads the numbers of the pipeline, all that are kept. */
async function stored({ url }: Program): Promise<number[]> {
  const response = await fetch(`${url}/pipelines/p_a/events?history=all`);
  const { events } = await response.json();
  return events.map(({ payload }: { payload: number }) => payload);
}

/** Reads numbers from a stream. */
async function read(stream: StreamReader, count: number): Promise<number[]> {
  return (await stream.events(count)).map(({ data }) => Number(data));
}

Deno.test("An append that is sent again after a kill is stored once and in order", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv };
  let url = "";
  const total = 600;
  for (const after of [1, 200]) {
    await using program = await Program.start({
      ...settings,
      ...url && { PORT: new URL(url).port },
    });
    ({ url } = program);
    const open = openAppend(program, { headers: KEY });
    (async () => {
      for (let sent = 1; sent <= total; sent += 10) await open.write(lines(sent, sent + 9));
    })().catch(() => {});
    await eventually(
      "some stand",
      async () => (await readStanding(program, "run")).accepted >= after,
    );
    program.kill("SIGKILL");
    await open.answer.catch(() => {});
    await program.exit();
  }
  await using program = await Program.start(settings);
  const { accepted: before } = await readStanding(program, "run");
  deepEqual(await stored(program), numbers(1, before));
  const { status, accepted, lastEventId } = await append(program, lines(1, total), {
    headers: KEY,
  });
  deepEqual([status, accepted, lastEventId!.split("-").at(-1)], [200, total, String(total)]);
  deepEqual(await stored(program), numbers(1, total));
});

for (const isolates of [1, 2]) {
  Deno.test(`A drain of ${isolates} isolates answers an append at once, with the number that stands`, async () => {
    await using folder = new DataFolder();
    const settings = {
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: String(isolates),
      RUNNEL_MAX_SUBSCRIBERS: "1000",
    };
    const program = await Program.start(settings);
    await using _program = program;
    const stream = await openStream(program, "p_a");
    await stream.until("runnel.live");
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => RawAppend.open(portOf(program), { headers: {} })),
    );
    await clients[0]!.write(lines(1, 3) + line(4).slice(0, -1));
    deepEqual(await read(stream, 3), [1, 2, 3]);
    // One that is not open yet is refused instead, without a number.
    await eventually("all appends are open", async () => {
      const page = await (await fetch(`${program.url}/metrics`)).text();
      return readOpenMetrics(page).get("runnel_appends") === clients.length;
    });
    const since = performance.now();
    program.kill("SIGTERM");
    const answers = await Promise.all(clients.map((each) => each.answer({ untilClosed: true })));
    deepEqual(
      answers.map(({ status, type, accepted }) => [status, type, accepted]),
      [3, 0, 0, 0].map((accepted) => [503, "draining", accepted]),
    );
    for (const client of clients) client[Symbol.dispose]();
    equal(await stream.event(), null);
    equal(await program.exit(), 0);
    ok(performance.now() - since < DRAIN_MS);
    equal(program.complaints.join("\n"), "");
    await using again = await Program.start(settings);
    deepEqual(await stored(again), [1, 2, 3]);
  });
}

Deno.test("An append goes on in another isolate, which fences off the connection before", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv, RUNNEL_ISOLATES: "3", RUNNEL_MAX_SUBSCRIBERS: "1000" };
  await using program = await Program.start(settings);
  const stream = await openStream(program, "p_a");
  await stream.until("runnel.live");
  let last = 0;
  let before: RawAppend | null = null;
  // The system gives a connection to any isolate.
  for (let round = 0; round < 8; round++) {
    const next: RawAppend = await RawAppend.open(portOf(program), { headers: KEY });
    await next.write(lines(1, last + 2));
    deepEqual(await read(stream, 2), [last + 1, last + 2]);
    if (before) {
      await before.write(lines(last + 1, last + 4));
      const refused: AppendAnswer = await before.answer();
      deepEqual([refused.status, refused.type, refused.accepted], [409, "append-superseded", last]);
      before[Symbol.dispose]();
    }
    before = next;
    last += 2;
  }
  await before!.write(line("end", { end: true }));
  await before!.end();
  const { status, accepted, ended } = await before!.answer();
  before![Symbol.dispose]();
  deepEqual([status, accepted, ended], [200, last + 1, true]);
  deepEqual((await stream.events(Infinity)).map(({ type }) => type), ["events", "runnel.end"]);
  deepEqual(await stored(program), [...numbers(1, last), "end"]);
});

testWithDenokv(
  "An append goes on at another process, which fences off the connection at the first",
  async () => {
    await using kv = await DenoKv.start();
    await using here = await Program.start(kv.settings);
    await using there = await Program.start(kv.settings);
    const streams = [await openStream(here, "p_a"), await openStream(there, "p_a")];
    for (const stream of streams) await stream.until("runnel.live");
    const half = await RawAppend.open(portOf(here), { headers: KEY });
    await half.write(lines(1, 5));
    for (const stream of streams) deepEqual(await read(stream, 5), numbers(1, 5));
    const next = await RawAppend.open(portOf(there), { headers: KEY });
    await next.write(lines(1, 8));
    for (const stream of streams) deepEqual(await read(stream, 3), [6, 7, 8]);
    await half.write(lines(6, 20));
    const refused = await half.answer();
    deepEqual([refused.status, refused.type, refused.accepted], [409, "append-superseded", 5]);
    await next.write(line(9, { end: true }));
    await next.end();
    const { status, accepted } = await next.answer();
    deepEqual([status, accepted], [200, 9]);
    for (const stream of streams) {
      const events = await stream.events(Infinity);
      deepEqual(events.map(({ type, data }) => [type, data]), [
        ["events", "9"],
        ["runnel.end", '{"events":9}'],
      ]);
    }
    for (const client of [half, next]) client[Symbol.dispose]();
  },
);
