import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { DenoKv, denoKv } from "./support/denokv.ts";
import { eventually } from "./support/eventually.ts";
import { type Need, testThatNeeds } from "./support/needs.ts";
import { OLDER_DENO, olderDeno } from "./support/older_deno.ts";
import { DataFolder, type Environment, Program, startCommand } from "./support/program.ts";
import { type SaidEvent, StreamReader } from "./support/stream_reader.ts";

const TIMEOUT_MS = 500;

/** A publish waits for its turn, then for its commit; the rest is for a busy machine. */
const ANSWER_MS = 2 * TIMEOUT_MS + 1000;

// What the program runs on

const runtimes: { name: string; deno?: string; needs: Need[] }[] = [
  { name: "this Deno", needs: [] },
  { name: "Deno 2.5", deno: OLDER_DENO, needs: [olderDeno] },
];

interface Store extends AsyncDisposable {
  settings: Environment;
}

const stores: { name: string; needs: Need[]; create: () => Promise<Store> }[] = [
  {
    name: "a file",
    needs: [],
    create() {
      const folder = new DataFolder();
      return Promise.resolve({
        settings: { RUNNEL_KV: folder.kv },
        [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
      });
    },
  },
  { name: "denokv", needs: [denoKv], create: () => DenoKv.start() },
];

// Its clients

async function post(
  { url }: Program,
  payload: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; retryAfter: string | null; id: string }> {
  const response = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ pipeline: "p_a", channel: "events", payload }),
  });
  const { events } = await response.json();
  const retryAfter = response.headers.get("Retry-After");
  return { status: response.status, retryAfter, id: events?.[0].id ?? "" };
}

async function publish(program: Program, ...payloads: unknown[]): Promise<string[]> {
  const ids: string[] = [];
  for (const payload of payloads) {
    const { status, id } = await post(program, payload);
    equal(status, 202);
    ids.push(id);
  }
  return ids;
}

/** Opens a stream as an EventSource does. */
async function subscribe(
  { url }: Program,
  pipeline: string,
  lastEventId = "",
): Promise<StreamReader> {
  const response = await fetch(`${url}/pipelines/${pipeline}/sse`, {
    headers: { Accept: "text/event-stream", "Last-Event-ID": lastEventId },
  });
  equal(response.status, 200);
  return new StreamReader(response);
}

function toldOf(events: readonly SaidEvent[]): [string, unknown][] {
  return events.map(({ id, data }) => [id!, JSON.parse(data)]);
}

async function exitsOn(signal: Deno.Signal, program: Program): Promise<void> {
  program.kill(signal);
  equal(await program.exit(), 0);
}

for (const runtime of runtimes) {
  const command = startCommand(runtime.deno);
  for (const store of stores) {
    const needs = [...runtime.needs, ...store.needs];
    testThatNeeds(
      needs,
      `main.ts under ${runtime.name} on ${store.name} streams, drains, and resumes anew`,
      async () => {
        await using created = await store.create();
        await using first = await Program.start(created.settings, command);
        const stream = await subscribe(first, "p_a");
        const beginning = (await stream.until("runnel.live")).at(-1)!.id!;
        const ids = await publish(first, 1, 2);
        deepEqual(toldOf(await stream.events(2)), [[ids[0], 1], [ids[1], 2]]);
        ids.push(...await publish(first, "€".repeat(15_000)));
        await exitsOn("SIGTERM", first);
        deepEqual(toldOf(await stream.events(Infinity)), [[ids[2], "€".repeat(15_000)]]);

        await using second = await Program.start(created.settings, command);
        ids.push(...await publish(second, 4));
        const resumed = await subscribe(second, "p_a", ids[1]);
        deepEqual((await resumed.until("runnel.live")).map(({ id }) => id), [
          ids[2],
          ids[3],
          ids[3],
        ]);
        ids.push(...await publish(second, 5));
        deepEqual(toldOf(await resumed.events(1)), [[ids[4], 5]]);
        await resumed.cancel();
        const all = await subscribe(second, "p_a", beginning);
        deepEqual((await all.events(5)).map(({ id }) => id), ids);
        await exitsOn("SIGINT", second);
        deepEqual((await all.events(Infinity)).map(({ type }) => type), ["runnel.live"]);
      },
    );
  }
}

// The KV server goes away

/** A publisher that waits for its answers, and notes them. */
class Publisher {
  readonly accepted = new Map<string, string>();
  readonly refused: string[] = [];
  /** The answers to what was refused, and how long they took. */
  readonly refusals: { status: number; retryAfter: string | null; ms: number }[] = [];
  readonly ended: Promise<void>;
  #stopped = false;

  /** @param retries Whether it sends what was refused again, with its key. */
  constructor(program: Program, name: string, retries: boolean) {
    this.ended = this.#run(program, name, retries);
    // Where the test fails first, the program is gone.
    this.ended.catch(() => {});
  }

  async #run(program: Program, name: string, retries: boolean): Promise<void> {
    for (let number = 1; !this.#stopped;) {
      const payload = `${name}:${number}`;
      const since = performance.now();
      const headers: Record<string, string> = retries ? { "Idempotency-Key": payload } : {};
      const { id, ...answer } = await post(program, payload, headers);
      if (answer.status === 202) this.accepted.set(id, payload);
      else {
        this.refused.push(payload);
        this.refusals.push({ ...answer, ms: performance.now() - since });
        if (retries) continue;
      }
      number++;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.ended;
  }
}

const outages: { name: string; begin: (kv: DenoKv) => unknown; end: (kv: DenoKv) => unknown }[] = [
  { name: "is stopped", begin: (kv) => kv.stop(), end: (kv) => kv.start() },
  { name: "freezes", begin: (kv) => kv.freeze(), end: (kv) => kv.thaw() },
];

for (const runtime of runtimes) {
  for (const outage of outages) {
    testThatNeeds(
      [denoKv, ...runtime.needs],
      `main.ts under ${runtime.name} outlives a KV server that ${outage.name}`,
      async () => {
        await using kv = await DenoKv.start();
        const settings = {
          ...kv.settings,
          RUNNEL_KV_TIMEOUT_MS: String(TIMEOUT_MS),
          RUNNEL_KEEPALIVE_MS: "100",
        };
        await using program = await Program.start(settings, startCommand(runtime.deno));
        const stream = await subscribe(program, "p_a");
        const beginning = (await stream.until("runnel.live")).at(-1)!.id!;
        const publishers = [
          ...[1, 2, 3].map((i) => new Publisher(program, `retrying-${i}`, true)),
          ...[1, 2, 3].map((i) => new Publisher(program, `single-${i}`, false)),
        ];
        const accepted = () => publishers.reduce((sum, { accepted }) => sum + accepted.size, 0);
        await eventually("they publish", () => accepted() > 60);

        await outage.begin(kv);
        await eventually("all are refused", () => publishers.every((p) => p.refusals.length > 1));
        const passing = await subscribe(program, "p_b");
        deepEqual(await passing.events(Infinity), []);
        match(passing.text, /^retry: \d+\n/);
        const ready = await fetch(`${program.url}/readyz`);
        equal(ready.status, 503);
        await ready.body?.cancel();
        const before = accepted();
        // What was accepted before is delivered; then it is kept alive.
        const received: SaidEvent[] = [];
        for (
          let said;
          (said = await stream.next())?.kind !== "comment" || received.length < before;
        ) {
          ok(said, "the stream ended");
          if (said.kind === "event") received.push(said);
        }

        await outage.end(kv);
        await eventually("they publish again", () => accepted() > before + 60);
        await Promise.all(publishers.map((publisher) => publisher.stop()));
        const answer = await fetch(`${program.url}/readyz`);
        equal(await answer.text(), "ok\n");

        for (const { status, retryAfter, ms } of publishers.flatMap((p) => p.refusals)) {
          equal(status, 503);
          match(retryAfter ?? "", /^\d+$/);
          ok(ms < ANSWER_MS, `${ms} ms`);
        }
        const log = await subscribe(program, "p_a", beginning);
        const stored = toldOf(await log.until("runnel.live")).slice(0, -1);
        await log.cancel();
        received.push(...await stream.events(stored.length - received.length));
        await stream.cancel();
        deepEqual(toldOf(received), stored);
        const sequences = stored.map(([id]) => Number(id.split("-").at(-1)));
        deepEqual(sequences, sequences.map((_, index) => index + 1));
        equal(new Set(stored.map(([, payload]) => payload)).size, stored.length, "none twice");
        const byId = new Map(stored);
        for (const publisher of publishers) {
          for (const [id, payload] of publisher.accepted) equal(byId.get(id), payload);
        }
        const answered = new Set(publishers.flatMap((p) => [...p.accepted.values(), ...p.refused]));
        for (const [, payload] of stored) ok(answered.has(String(payload)));
        await exitsOn("SIGTERM", program);
      },
    );
  }
}

const refusals: {
  what: string;
  set: (kv: DenoKv) => Environment | Promise<void> | void;
  says: RegExp;
}[] = [
  {
    what: "that is not there",
    set: (kv) => kv.stop(),
    says:
      /^Cannot start: RUNNEL_KV is http\S+, which cannot be opened .* Start the KV server there/,
  },
  {
    what: "that does not answer",
    set: (kv) => kv.freeze(),
    says: /^Cannot reach the log: it did not answer within 500 ms\. Try again$/,
  },
  {
    what: "whose token it has not got",
    set: () => ({ DENO_KV_ACCESS_TOKEN: "another's" }),
    says: /401 .* set DENO_KV_ACCESS_TOKEN to its access token$/,
  },
];

for (const { what, set, says } of refusals) {
  testThatNeeds(
    [denoKv],
    `main.ts refuses a KV server ${what} in one line that says what to do`,
    async () => {
      await using kv = await DenoKv.start();
      const { code, lines } = await Program.refuse({
        ...kv.settings,
        RUNNEL_KV_TIMEOUT_MS: String(TIMEOUT_MS),
        ...await set(kv),
      });
      equal(lines.length, 1, lines.join("\n"));
      match(lines[0]!, says);
      equal(code, 1);
    },
  );
}

testThatNeeds([denoKv], "two programs on one KV server are one service", async () => {
  await using kv = await DenoKv.start();
  await using here = await Program.start(kv.settings);
  await using there = await Program.start(kv.settings);
  const streams = [await subscribe(here, "p_a"), await subscribe(there, "p_a")];
  for (const stream of streams) await stream.until("runnel.live");
  await publish(here, 1, 2);
  const [, last] = await publish(there, 3, 4);
  for (const stream of streams) {
    deepEqual((await stream.events(4)).map(({ data }) => Number(data)), [1, 2, 3, 4]);
    await stream.cancel();
  }
  await publish(here, 5);
  const resumed = await subscribe(there, "p_a", last);
  // Replayed or live, as the other is a moment behind or not: once in any case.
  const events = await resumed.events(2);
  deepEqual(
    events.filter(({ type }) => type === "events").map(({ data }) => Number(data)),
    [5],
  );
  await resumed.cancel();
});
