import {
  deepStrictEqual as deepEqual,
  fail,
  match,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { startIsolates } from "../../lib/service/isolates.ts";
import { prepareStorage } from "../../lib/kv/storage.ts";
import { type ReceivedEvent, StreamReader } from "../support/clients/stream_reader.ts";
import { type PublishedEvent, SubscriberRecord } from "../support/clients/subscriber_record.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { runtimes, stores } from "../support/programs/platforms.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { DenoKv, denoKv } from "../support/stores/denokv.ts";
import { eventually } from "../support/wait.ts";

/** Time that a platform gives a process after its signal, in milliseconds. */
const DRAIN_MS = 5000;

/** Number of streams: enough that the system does not give all connections to one isolate. */
const STREAMS = 40;

const ISOLATES = { RUNNEL_ISOLATES: "3" };

/** Command that runs isolates with a main module of a test. */
const ISOLATES_PROGRAM = [
  Deno.execPath(),
  "run",
  "-A",
  "tests/support/isolates/isolates_program.ts",
];

/** Sends each request on a separate connection, which the system gives to any isolate. */
async function request(url: string, init: RequestInit = {}): Promise<Response> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(url, { ...init, client });
  const body = await response.text();
  return new Response(body || null, response);
}

async function publish(
  { url }: Program,
  payload: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; id: string; replayed: boolean }> {
  const response = await request(`${url}/ingest/p_a/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(payload),
  });
  const answer = await response.json();
  const id = response.status === 202 ? answer.events[0].id : "";
  return { status: response.status, id, replayed: response.headers.has("Idempotency-Replayed") };
}

function sequenceOf(id: string): number {
  return Number(id.split("-").at(-1));
}

async function subscribeMany({ url }: Program, count = STREAMS): Promise<StreamReader[]> {
  const streams = await Promise.all(
    Array.from(
      { length: count },
      async () => new StreamReader(await fetch(`${url}/pipelines/p_a/sse`)),
    ),
  );
  for (const stream of streams) equal((await stream.until("runnel.live")).length, 1);
  return streams;
}

/** Reads the next events of a stream, and asserts that each comes once and in order. */
async function numbered(stream: StreamReader, count: number): Promise<ReceivedEvent[]> {
  const events = await stream.events(count);
  const sequences = events.map(({ id }) => sequenceOf(id!));
  deepEqual(sequences, Array.from(sequences, (_, index) => index + 1));
  return events;
}

for (const { name, requirements, command } of runtimes) {
  testWithRequirements(
    requirements,
    `startIsolates() under ${name} delivers every event in all isolates, once and in order`,
    async () => {
      await using folder = new DataFolder();
      await using program = await Program.start({ ...ISOLATES, RUNNEL_KV: folder.kv }, command);
      const streams = await subscribeMany(program);
      const payloads = Array.from({ length: 200 }, (_, index) => index);
      const answers = await Promise.all(payloads.map((payload) => publish(program, payload)));
      const expected = new Map(answers.map(({ id }, payload) => [id, String(payload)]));
      equal(expected.size, payloads.length);
      for (const stream of streams) {
        const events = await numbered(stream, payloads.length);
        for (const { id, data } of events) equal(data, expected.get(id!));
      }
      await Promise.all(streams.map((stream) => stream.cancel()));
    },
  );

  testWithRequirements(
    requirements,
    `startIsolates() under ${name} clears a pipeline in every isolate`,
    async () => {
      await using folder = new DataFolder();
      await using program = await Program.start({ ...ISOLATES, RUNNEL_KV: folder.kv }, command);
      const streams = await subscribeMany(program);
      await publish(program, 1);
      for (const stream of streams) await stream.event();
      const cleared = await request(`${program.url}/pipelines/p_a/events`, { method: "DELETE" });
      equal(cleared.status, 204);
      await eventually("no isolate has it in its history", async () => {
        const fresh = await Promise.all(Array.from({ length: STREAMS }, async () => {
          const stream = new StreamReader(await fetch(`${program.url}/pipelines/p_a/sse`));
          const { length } = await stream.until("runnel.live");
          await stream.cancel();
          return length;
        }));
        return fresh.every((length) => length === 1);
      });
      await Promise.all(streams.map((stream) => stream.cancel()));
    },
  );

  testWithRequirements(
    [...requirements, denoKv],
    `startIsolates() under ${name} on denokv shares events with another process, and drains`,
    async () => {
      await using kv = await DenoKv.start();
      await using here = await Program.start({ ...ISOLATES, ...kv.settings }, command);
      await using there = await Program.start(kv.settings, command);
      const [ending, staying] = [await subscribeMany(here), await subscribeMany(there, 4)];
      const numbers = Array.from({ length: 60 }, (_, index) => index);
      const answers = await Promise.all(
        numbers.map((number) => publish(number % 3 ? here : there, number)),
      );
      const expected = new Map(answers.map(({ id }, number) => [id, String(number)]));
      for (const stream of [...ending, ...staying]) {
        const events = await numbered(stream, numbers.length);
        deepEqual(new Map(events.map(({ id, data }) => [id!, data])), expected);
      }
      const { id } = await publish(here, "last");
      here.kill("SIGTERM");
      for (const stream of ending) {
        deepEqual((await stream.events(Infinity)).map((event) => event.id), [id]);
      }
      equal(await here.exit(), 0);
      await publish(there, "more");
      for (const stream of staying) {
        deepEqual((await stream.events(2)).map(({ data }) => data), ['"last"', '"more"']);
        await stream.cancel();
      }
      await Promise.all(ending.map((stream) => stream.cancel()));
    },
  );
}

/** Subscribes until the end; if `restless`, disconnects now and then, and resumes. */
async function follow(
  { url }: Program,
  record: SubscriberRecord,
  isOver: () => boolean,
  restless: SeededRandom | null,
): Promise<StreamReader> {
  while (true) {
    const headers = { "Last-Event-ID": record.lastEventId };
    const stream = new StreamReader(await fetch(`${url}/pipelines/p_a/sse`, { headers }));
    // An isolate may learn of events of the others with a delay.
    record.open(0);
    const patience = restless?.integer(1, 100) ?? Infinity;
    for (let i = 0; i < patience; i++) {
      record.take((await stream.event())!);
      if (isOver()) return stream;
    }
    await stream.cancel();
  }
}

for (const { name, requirements, create } of stores) {
  testWithRequirements(
    requirements,
    `startIsolates() on ${name} delivers all events once and in order when broadcasts are faulty`,
    async () => {
      const seed = Math.floor(Math.random() * 1000);
      console.log(`seed ${seed}`);
      await using store = await create();
      const entry = `./chaotic_isolate.ts?seed=${seed}`;
      await using program = await Program.start(
        { ...store.settings, RUNNEL_ENTRY: entry },
        ISOLATES_PROGRAM,
      );
      const log: PublishedEvent[] = [];
      const publishOne = async (payload: unknown) => {
        const { status, id } = await publish(program, payload);
        equal(status, 202);
        log[sequenceOf(id) - 1] = { channel: "events", data: JSON.stringify(payload) };
      };
      let last = Infinity;
      let areDone = false;
      const random = new SeededRandom(seed);
      const records = Array.from({ length: STREAMS + 8 }, () => new SubscriberRecord([], 100));
      const followers = Promise.all(records.map((record, index) => {
        const isOver = () => sequenceOf(record.lastEventId) >= last;
        return follow(program, record, isOver, index < STREAMS ? null : random);
      })).finally(() => areDone = true);
      // If the test fails first, the program has ended.
      followers.catch(() => {});
      await Promise.all(Array.from({ length: 8 }, async (_, publisher) => {
        for (let number = 0; number < 100; number++) await publishOne([publisher, number]);
      }));
      last = log.length;
      // If the broadcast of the last event is lost, later events reveal it.
      await eventually("all have all", async () => {
        await publishOne("more");
        return areDone;
      });
      for (const stream of await followers) await stream.cancel();
      for (const record of records) {
        record.verify(log.slice(0, sequenceOf(record.lastEventId)), false);
      }

      program.kill("SIGTERM");
      equal(await program.exit(), 0);
      const said = [...program.errors.matchAll(/^chaos (.+)$/gm)].map(([, fates]) => fates!);
      equal(said.length, 3, "each isolate had subscribers");
      for (const fates of said) {
        for (const count of Object.values(JSON.parse(fates))) ok(Number(count) > 10, fates);
      }
    },
  );
}

Deno.test("startIsolates() stores one event when twenty concurrent requests have one key", async () => {
  await using folder = new DataFolder();
  await using program = await Program.start({ ...ISOLATES, RUNNEL_KV: folder.kv });
  const headers = { "Idempotency-Key": "key" };
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => publish(program, "once", headers)),
  );
  deepEqual([...new Set(answers.map(({ status }) => status))], [202]);
  equal(new Set(answers.map(({ id }) => id)).size, 1);
  equal(answers.filter(({ replayed }) => !replayed).length, 1);
  const { events } = await (await request(`${program.url}/pipelines/p_a/events`)).json();
  equal(events.length, 1);
});

for (const { name, requirements, create } of stores) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    testWithRequirements(
      requirements,
      `startIsolates() on ${name} ends the process, and all streams with every accepted event, on ${signal}`,
      async () => {
        await using store = await create();
        await using program = await Program.start({ ...ISOLATES, ...store.settings });
        const streams = await subscribeMany(program);
        const accepted = new Set<string>();
        const publisher = async () => {
          try {
            for (let answer; (answer = await publish(program, 1)).status === 202;) {
              accepted.add(answer.id);
            }
          } catch (error) {
            if (!(error instanceof TypeError)) throw error;
          }
        };
        const publishers = Array.from({ length: 8 }, publisher);
        await eventually("the burst has begun", () => accepted.size > 100);
        const since = performance.now();
        program.kill(signal);
        // A stream that is cut instead of ended rejects here.
        const received = await Promise.all(streams.map((stream) => numbered(stream, Infinity)));
        equal(await program.exit(), 0);
        ok(performance.now() - since < DRAIN_MS);
        await Promise.all(publishers);
        for (const events of received) {
          const ids = new Set(events.map(({ id }) => id!));
          equal(accepted.difference(ids).size, 0);
        }
      },
    );
  }
}

Deno.test("startIsolates() refuses a port that is in use, although its isolates share one", async () => {
  await using folder = new DataFolder();
  await using other = new DataFolder();
  await using program = await Program.start({ ...ISOLATES, RUNNEL_KV: folder.kv });
  const PORT = new URL(program.url).port;
  const { code, lines } = await Program.startExpectingFailure({
    ...ISOLATES,
    RUNNEL_KV: other.kv,
    // All isolates together have fewer subscribers than a process has open files.
    RUNNEL_MAX_SUBSCRIBERS: "100",
    PORT,
  });
  deepEqual(lines, [
    `Cannot start: port ${PORT} is in use. Stop what uses it, or set PORT to another`,
  ]);
  equal(code, 1);
});

Deno.test("startIsolates() rejects without leaks if the store cannot be opened", async () => {
  const config = readConfig({ PORT: "0", RUNNEL_ISOLATES: "3", RUNNEL_KV: "http://127.0.0.1:1" });
  using storage = await prepareStorage(config.kv);
  await rejects(startIsolates({ config, storage, onFailure: fail }), { type: "storage-unusable" });
});

Deno.test("startIsolates() rejects without leaks if an isolate fails before it listens", async () => {
  await using folder = new DataFolder();
  const config = readConfig({ PORT: "0", RUNNEL_ISOLATES: "3", RUNNEL_KV: folder.kv });
  using storage = await prepareStorage(config.kv);
  const entry = new URL("data:text/javascript,throw new Error('out of luck')");
  await rejects(
    startIsolates({ config, storage, entry, onFailure: fail }),
    /^Error: An isolate failed: .*out of luck$/,
  );
});

for (
  const [way, line] of [
    ["throws", "An isolate failed: Error: out of luck"],
    ["rejects", "An isolate failed: Error: out of luck"],
    ["exits", "An isolate ended"],
    ["closes", "An isolate ended"],
  ] as const
) {
  Deno.test(`startIsolates() ends the process with a message if an isolate ${way}`, async () => {
    await using folder = new DataFolder();
    await using program = await Program.start(
      { RUNNEL_KV: folder.kv, RUNNEL_ENTRY: `./broken_isolate.ts?${way}` },
      ISOLATES_PROGRAM,
    );
    // Each isolate fails when it receives the broadcast of a commit.
    await request(`${program.url}/ingest/p_break/events`, { method: "POST", body: "1" })
      .catch(() => {});
    equal(await program.exit(), 1);
    match(program.errors, new RegExp(`^${line}$`, "m"));
  });
}
