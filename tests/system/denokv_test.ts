import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { publishPayload } from "../support/clients/publisher.ts";
import { openStream, type ReceivedEvent } from "../support/clients/stream_reader.ts";
import { runtimes, stores } from "../support/programs/platforms.ts";
import { type Environment, Program } from "../support/programs/program.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { DenoKv, denoKv } from "../support/stores/denokv.ts";

const TIMEOUT_MS = 500;

// Service

async function publish(program: Program, ...payloads: unknown[]): Promise<string[]> {
  const ids: string[] = [];
  for (const payload of payloads) {
    const { status, id } = await publishPayload(program, payload);
    equal(status, 202);
    ids.push(id);
  }
  return ids;
}

function summarize(events: readonly ReceivedEvent[]): [string, unknown][] {
  return events.map(({ id, data }) => [id!, JSON.parse(data)]);
}

async function exitsOn(signal: Deno.Signal, program: Program): Promise<void> {
  program.kill(signal);
  equal(await program.exit(), 0);
}

for (const runtime of runtimes) {
  const { command } = runtime;
  for (const store of stores) {
    const needs = [...runtime.requirements, ...store.requirements];
    testWithRequirements(
      needs,
      `main.ts under ${runtime.name} on ${store.name} streams, drains, and resumes after a restart`,
      async () => {
        await using created = await store.create();
        await using first = await Program.start(created.settings, command);
        const stream = await openStream(first, "p_a");
        const beginning = (await stream.until("runnel.live")).at(-1)!.id!;
        const ids = await publish(first, 1, 2);
        deepEqual(summarize(await stream.events(2)), [[ids[0], 1], [ids[1], 2]]);
        ids.push(...await publish(first, "€".repeat(15_000)));
        await exitsOn("SIGTERM", first);
        deepEqual(summarize(await stream.events(Infinity)), [[ids[2], "€".repeat(15_000)]]);

        await using second = await Program.start(created.settings, command);
        ids.push(...await publish(second, 4));
        const resumed = await openStream(second, "p_a", ids[1]);
        deepEqual((await resumed.until("runnel.live")).map(({ id }) => id), [
          ids[2],
          ids[3],
          ids[3],
        ]);
        ids.push(...await publish(second, 5));
        deepEqual(summarize(await resumed.events(1)), [[ids[4], 5]]);
        await resumed.cancel();
        const all = await openStream(second, "p_a", beginning);
        deepEqual((await all.events(5)).map(({ id }) => id), ids);
        await exitsOn("SIGINT", second);
        deepEqual((await all.events(Infinity)).map(({ type }) => type), ["runnel.live"]);
      },
    );
  }
}

// Refusing to start

const refusals: {
  what: string;
  set: (kv: DenoKv) => Environment | Promise<void> | void;
  expected: RegExp;
}[] = [
  {
    what: "that is not running",
    set: (kv) => kv.stop(),
    expected:
      /^Cannot open the store: RUNNEL_KV is http\S+, which fails .* Start the KV server there/,
  },
  {
    what: "that does not answer",
    set: (kv) => kv.freeze(),
    expected: /^Cannot reach the log: it did not answer within 500 ms\. Try again$/,
  },
  {
    what: "that rejects its token",
    set: () => ({ DENO_KV_ACCESS_TOKEN: "another's" }),
    expected: /401 .* set DENO_KV_ACCESS_TOKEN to its access token$/,
  },
];

for (const isolates of ["1", "3"]) {
  for (const { what, set, expected } of refusals) {
    testWithRequirements(
      [denoKv],
      `main.ts with RUNNEL_ISOLATES=${isolates} refuses a KV server ${what}, and prints a remedy in one line`,
      async () => {
        await using kv = await DenoKv.start();
        const { code, lines } = await Program.startExpectingFailure({
          ...kv.settings,
          RUNNEL_ISOLATES: isolates,
          RUNNEL_KV_TIMEOUT_MS: String(TIMEOUT_MS),
          ...await set(kv),
        });
        equal(lines.length, 1, lines.join("\n"));
        match(lines[0]!, expected);
        equal(code, 1);
      },
    );
  }
}

testWithRequirements(
  [denoKv],
  "main.ts delivers the events of both when two programs share a KV server",
  async () => {
    await using kv = await DenoKv.start();
    await using here = await Program.start(kv.settings);
    await using there = await Program.start(kv.settings);
    const streams = [await openStream(here, "p_a"), await openStream(there, "p_a")];
    for (const stream of streams) await stream.until("runnel.live");
    await publish(here, 1, 2);
    const [, last] = await publish(there, 3, 4);
    for (const stream of streams) {
      deepEqual((await stream.events(4)).map(({ data }) => Number(data)), [1, 2, 3, 4]);
      await stream.cancel();
    }
    await publish(here, 5);
    const resumed = await openStream(there, "p_a", last);
    // Replayed or live, depending on whether the other is a moment behind; once in any case.
    const events = await resumed.events(2);
    deepEqual(
      events.filter(({ type }) => type === "events").map(({ data }) => Number(data)),
      [5],
    );
    await resumed.cancel();
  },
);
