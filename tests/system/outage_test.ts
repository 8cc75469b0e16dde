import { match, notStrictEqual as differ, ok, strictEqual as equal } from "node:assert/strict";
import { parseEventId } from "../../lib/protocol/event.ts";
import { Follower } from "../support/clients/follower.ts";
import { Publisher, publishPayload } from "../support/clients/publisher.ts";
import { openStream } from "../support/clients/stream_reader.ts";
import type { PublishedEvent } from "../support/clients/subscriber_record.ts";
import { runtimes } from "../support/programs/platforms.ts";
import { DataFolder, type Environment, Program } from "../support/programs/program.ts";
import { type Requirement, testWithRequirements } from "../support/programs/requirements.ts";
import { DenoKv, denoKv } from "../support/stores/denokv.ts";
import { SmallDisk, smallDisk } from "../support/stores/small_disk.ts";
import { TcpProxy } from "../support/stores/tcp_proxy.ts";
import { eventually } from "../support/wait.ts";

const TIMEOUT_MS = 500;

/** Settings with a deadline that is not reached, even on a busy machine. */
const PATIENT = { RUNNEL_KV_TIMEOUT_MS: "10000" };

/** Maximum time of an answer: two store deadlines (queue, commit) and a margin, in milliseconds. */
const ANSWER_MS = 2 * TIMEOUT_MS + 1000;

const SETTINGS = {
  RUNNEL_KV_TIMEOUT_MS: String(TIMEOUT_MS),
  RUNNEL_KEEPALIVE_MS: "100",
  RUNNEL_RETRY_MS: "50",
};

const event = (data: string): PublishedEvent => ({ channel: "events", data });

/** Returns the position before the first event. */
async function findBeginning(program: Program): Promise<string> {
  const stream = await openStream(program, "p_a");
  const live = (await stream.until("runnel.live")).at(-1)!;
  await stream.cancel();
  return live.id!;
}

/** Reads all stored events, and asserts that they match the answers to the publishers. */
async function readLog(
  program: Program,
  beginning: string,
  publishers: readonly Publisher[],
): Promise<PublishedEvent[]> {
  const accepted = publishers.flatMap(({ accepted }) => [...accepted]);
  const newest = Math.max(...accepted.map(([id]) => parseEventId(id)!.sequence));
  const stream = await openStream(program, "p_a", beginning);
  const events = (await stream.until("runnel.live")).slice(0, -1);
  // The last events that another program accepted may arrive live.
  events.push(...await stream.events(newest - events.length));
  await stream.cancel();
  const stored = new Map(events.map(({ id, data }) => [id!, data]));
  const payloads = new Set(stored.values());
  equal(payloads.size, events.length, "no event is stored twice");
  for (const [id, payload] of accepted) {
    equal(stored.get(id), JSON.stringify(payload));
  }
  // Events that were refused without a key may be stored; no others are.
  const sent = publishers.flatMap(({ accepted, refused }) => [...accepted.values(), ...refused]);
  const known = new Set(sent.map((payload) => JSON.stringify(payload)));
  for (const payload of payloads) ok(known.has(payload), payload);
  return events.map(({ data }) => event(data));
}

async function check({ url }: Program, path: "/healthz" | "/readyz"): Promise<number> {
  const response = await fetch(`${url}${path}`);
  await response.body?.cancel();
  return response.status;
}

// Outages

/** A dependency of a program, and how it fails. */
interface Outage extends AsyncDisposable {
  settings: Environment;
  /** Whether the log can be read meanwhile. */
  isReadable?: boolean;
  begin(): unknown;
  end(): unknown;
  /** Asserts that the program was affected. */
  verify?(program: Program): unknown;
}

const outages: { name: string; requirements: Requirement[]; create: () => Promise<Outage> }[] = [
  {
    name: "a KV server that is stopped",
    requirements: [denoKv],
    create: () => withDenoKv((kv) => kv.stop(), (kv) => kv.start()),
  },
  {
    name: "a KV server that freezes",
    requirements: [denoKv],
    create: () => withDenoKv((kv) => kv.freeze(), (kv) => kv.thaw()),
  },
  {
    name: "a network that stops",
    requirements: [denoKv],
    create: () => withProxy((proxy) => proxy.stop(), (proxy) => proxy.goOn()),
  },
  {
    name: "a network that loses the answer to every commit",
    requirements: [denoKv],
    create: async () => ({
      ...await withProxy((proxy) => proxy.cutCommits(), (proxy) => proxy.cutCommits(0)),
      isReadable: true,
    }),
  },
  {
    name: "a full disk",
    requirements: [smallDisk],
    async create() {
      const disk = await SmallDisk.create(16);
      return {
        settings: { RUNNEL_KV: disk.kv },
        isReadable: true,
        begin: () => disk.fill(),
        end: () => disk.free(),
        // On a busy machine, the store may tell so after the deadline at first.
        verify: (program) =>
          eventually(
            "a publish is refused for the full disk",
            () => /Cannot POST \/ingest: .*database or disk is full/.test(program.errors),
          ),
        [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
      };
    },
  },
];

async function withDenoKv(
  begin: (kv: DenoKv) => unknown,
  end: (kv: DenoKv) => unknown,
): Promise<Outage> {
  const kv = await DenoKv.start();
  return {
    settings: kv.settings,
    begin: () => begin(kv),
    end: () => end(kv),
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
}

async function withProxy(
  begin: (proxy: TcpProxy) => unknown,
  end: (proxy: TcpProxy) => unknown,
): Promise<Outage> {
  const kv = await DenoKv.start();
  const proxy = new TcpProxy(kv.url);
  return {
    settings: { ...kv.settings, RUNNEL_KV: proxy.url },
    begin: () => begin(proxy),
    end: () => end(proxy),
    verify: () => ok(proxy.forwarded.up > 10_000 && proxy.forwarded.down > 1000),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await kv[Symbol.asyncDispose]();
    },
  };
}

for (const [index, runtime] of runtimes.entries()) {
  for (const outage of outages) {
    // The network behaves the same for both runtimes.
    if (index > 0 && outage.name.startsWith("a network")) continue;
    testWithRequirements(
      [...outage.requirements, ...runtime.requirements],
      `main.ts under ${runtime.name} recovers from ${outage.name}`,
      async () => {
        await using active = await outage.create();
        const settings = { ...active.settings, ...SETTINGS };
        await using program = await Program.start(settings, runtime.command);
        const beginning = await findBeginning(program);
        const publishers = [
          ...[1, 2, 3].map((i) => new Publisher(program, `retrying-${i}`, true)),
          ...[1, 2, 3].map((i) => new Publisher(program, `single-${i}`, false)),
        ];
        const accepted = () => publishers.reduce((sum, { accepted }) => sum + accepted.size, 0);
        await using follower = new Follower(program, accepted);
        await follower.live();
        await eventually("events are accepted", () => accepted() > 60);

        await active.begin();
        await eventually(
          "all publishes are refused",
          () => publishers.every((p) => p.refusals.length > 1),
        );
        const passing = await openStream(program, "p_b");
        // A pipeline that nobody wrote to needs no commit and no room on a disk.
        equal((await passing.event())?.type, active.isReadable ? "runnel.live" : undefined);
        match(passing.text, /^retry: \d+\n/);
        await passing.cancel();
        equal(await check(program, "/readyz"), 503);
        equal(await check(program, "/healthz"), 200);
        const before = accepted();
        await eventually("accepted events are delivered", () => follower.sequence >= before);
        await active.verify?.(program);

        await active.end();
        await eventually("events are accepted again", () => accepted() > before + 60);
        await Promise.all(publishers.map((publisher) => publisher.stop()));
        equal(await check(program, "/readyz"), 200);
        for (const { status, retryAfter, ms } of publishers.flatMap((p) => p.refusals)) {
          equal(status, 503);
          match(retryAfter ?? "", /^\d+$/);
          ok(ms < ANSWER_MS, `${ms} ms`);
        }
        const log = await readLog(program, beginning, publishers);
        equal((await follower.verify(log)).missed, 0);
        program.kill("SIGTERM");
        equal(await program.exit(), 0);
      },
    );
  }
}

// Lost answers to commits

testWithRequirements(
  [denoKv],
  "main.ts stores an event once when the connection breaks before the answer to its commit",
  async () => {
    await using kv = await DenoKv.start();
    await using proxy = new TcpProxy(kv.url);
    const settings = { ...kv.settings, ...SETTINGS, ...PATIENT, RUNNEL_KV: proxy.url };
    await using program = await Program.start(settings);
    const beginning = await findBeginning(program);
    await using follower = new Follower(program, () => 0);
    await follower.live();
    const sent: PublishedEvent[] = [];
    for (const headers of [{}, { "Idempotency-Key": "a" }, {}, { "Idempotency-Key": "b" }]) {
      proxy.cutCommits(1);
      const payload = `cut ${sent.length}`;
      const answer = await publishPayload(program, payload, headers);
      equal(answer.status, 202, answer.detail);
      sent.push(event(JSON.stringify(payload)));
    }
    equal(proxy.cuts, 4);
    const stream = await openStream(program, "p_a", beginning);
    const stored = (await stream.until("runnel.live")).slice(0, -1);
    await stream.cancel();
    equal(JSON.stringify(stored.map(({ data }) => event(data))), JSON.stringify(sent));
    equal((await follower.verify(sent)).delivered, sent.length);
  },
);

testWithRequirements(
  [denoKv],
  "main.ts answers a retry with the original receipt when the first answer was lost",
  async () => {
    await using kv = await DenoKv.start();
    await using proxy = new TcpProxy(kv.url);
    const settings = { ...kv.settings, ...SETTINGS, RUNNEL_KV: proxy.url };
    await using program = await Program.start(settings);
    const beginning = await findBeginning(program);
    await using follower = new Follower(program, () => 0);
    await follower.live();
    const log: PublishedEvent[] = [];
    for (const headers of [{ "Idempotency-Key": "a" }, {}]) {
      proxy.cutCommits();
      const { status, detail, retryAfter } = await publishPayload(program, log.length, headers);
      equal(status, 503);
      match(detail, /may have been stored/);
      match(retryAfter ?? "", /^\d+$/);
      log.push(event(String(log.length)));
      proxy.cutCommits(0);
    }
    ok(proxy.cuts > 1);
    await eventually("the log is settled", async () => {
      return (await publishPayload(program, 2, { "Idempotency-Key": "b" })).status === 202;
    });
    log.push(event("2"));
    const retried = await publishPayload(program, 0, { "Idempotency-Key": "a" });
    equal(retried.status, 202);
    equal(retried.replayed, true);
    const stream = await openStream(program, "p_a", beginning);
    const [first] = await stream.events(1);
    equal(first!.id, retried.id);
    await stream.cancel();
    equal((await follower.verify(log)).delivered, 3);
  },
);

// Contention and retention

testWithRequirements(
  [denoKv],
  "main.ts loses and repeats no event when two programs publish heavily to one pipeline",
  async () => {
    await using kv = await DenoKv.start();
    await using here = await Program.start(kv.settings);
    await using there = await Program.start(kv.settings);
    const programs = [here, there];
    const beginning = await findBeginning(here);
    const publishers = programs.flatMap((program, index) =>
      Array.from({ length: 16 }, (_, i) => new Publisher(program, `${index}-${i}`, false))
    );
    const accepted = () => publishers.reduce((sum, { accepted }) => sum + accepted.size, 0);
    await using follower = new Follower(here, accepted);
    await using other = new Follower(there, accepted);
    for (const each of [follower, other]) await each.live();
    await eventually("events are accepted", () => accepted() > 3000);
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    equal(publishers.flatMap((publisher) => publisher.refused).length, 0);
    const log = await readLog(there, beginning, publishers);
    equal(log.length, accepted());
    for (const each of [follower, other]) equal((await each.verify(log)).missed, 0);
  },
);

Deno.test("main.ts reports the missed events when a subscriber stalls for longer than the retention", async () => {
  await using folder = new DataFolder();
  const settings = { ...SETTINGS, RUNNEL_KV: folder.kv, RUNNEL_RETENTION: "100" };
  await using program = await Program.start(settings);
  const log: PublishedEvent[] = [];
  await using stalled = new Follower(program, () => log.length);
  await using reading = new Follower(program, () => log.length);
  for (const follower of [stalled, reading]) await follower.live();
  const publish = async (count: number, size: number) => {
    const payloads = Array.from({ length: count }, (_, i) => `${log.length + i}`.padEnd(size));
    const response = await fetch(`${program.url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(
        payloads.map((payload) => ({ pipeline: "p_a", channel: "events", payload })),
      ),
    });
    equal(response.status, 202);
    await response.body?.cancel();
    log.push(...payloads.map((payload) => event(JSON.stringify(payload))));
    await eventually("the other subscriber reads", () => reading.sequence === log.length);
  };
  await publish(10, 10);
  await eventually("the first events are delivered", () => stalled.sequence === 10);
  stalled.stall();
  // A minute is retained in any case, but at most 32 MiB; the rest is in flight.
  for (let MiB = 0; MiB < 48; MiB += 0.5) await publish(10, 50 * 1024);
  stalled.goOn();
  await eventually("the stalled subscriber resumes", () => stalled.sequence === log.length);
  await publish(10, 10);
  const { delivered, missed } = await stalled.verify(log);
  differ(missed, 0);
  equal(delivered + missed, log.length);
  equal(stalled.connections, 2);
  equal((await reading.verify(log)).missed, 0);
});
