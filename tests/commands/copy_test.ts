import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { append, line, lines, readStanding } from "../support/clients/appender.ts";
import { openStream, type StreamReader } from "../support/clients/stream_reader.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { runStorageTask } from "../support/programs/storage_task.ts";
import { DenoKv, testWithDenokv } from "../support/stores/denokv.ts";

const PIPELINES = ["p_a", "p_b"];
const TOKEN = "a-token-of-a-publisher";
const SECURED = { RUNNEL_PUBLISH_TOKENS: TOKEN };

/** Publishes numbered events, each with a key, and returns the IDs and whether each was known. */
async function publish(url: string, from: number, to: number): Promise<[string, boolean][]> {
  const published: [string, boolean][] = [];
  for (const pipeline of PIPELINES) {
    for (let i = from; i <= to; i++) {
      const response = await fetch(`${url}/ingest/${pipeline}/tick`, {
        method: "POST",
        body: String(i),
        headers: {
          "Idempotency-Key": `key-${i}`,
          "Content-Type": "application/json",
          "Authorization": `Bearer ${TOKEN}`,
        },
      });
      equal(response.status, 202);
      const { events: [event] } = await response.json();
      published.push([event.id, response.headers.get("Idempotency-Replayed") === "true"]);
    }
  }
  return published;
}

async function readToLive(stream: StreamReader) {
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return events;
}

async function end(program: Program): Promise<void> {
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
}

/** Copies, with the token of a KV server. */
function copy(from: string, to: string, { settings }: DenoKv) {
  const { DENO_KV_ACCESS_TOKEN = "" } = settings;
  return runStorageTask("copy", { kv: "", args: [from, to], env: { DENO_KV_ACCESS_TOKEN } });
}

testWithDenokv(
  "deno task copy moves a log from a file to a KV server and back, and clients go on without a gap",
  async () => {
    await using folder = new DataFolder();
    await using server = await DenoKv.start();
    const back = `${folder.path}/back.sqlite`;
    let published: [string, boolean][];
    let ticket: string;
    {
      await using program = await Program.start({ ...SECURED, RUNNEL_KV: folder.kv });
      published = await publish(program.url, 1, 10);
      const response = await fetch(`${program.url}/pipelines/p_a/tickets`, {
        method: "POST",
        headers: { Authorization: `Bearer ${TOKEN}` },
      });
      ticket = new URL((await response.json()).url).search;
      const beside = await copy(folder.kv, server.url, server);
      equal(beside.code, 1);
      match(beside.stderr, /is in use by process/);
      await end(program);
    }
    const hops = [[folder.kv, server.url], [server.url, back]] as const;
    for (const [index, [from, to]] of hops.entries()) {
      const { code, stdout, stderr } = await copy(from, to, server);
      const waits = index === 0 ? "" : `Waits 12 s for processes that use ${from} to stop\n`;
      deepEqual([code, stderr], [0, waits]);
      match(
        stdout,
        /^Copied .+ to .+: \d+ records\. Set RUNNEL_KV to .+\. No service starts on .+\n$/,
      );

      const settings = { ...server.settings, ...SECURED };
      const { code: refused, lines } = await Program.startExpectingFailure({
        ...settings,
        RUNNEL_KV: from,
      });
      equal(refused, 1);
      match(lines.join("\n"), /^Cannot start: this log was copied to "[^"]+", which goes on/);

      await using program = await Program.start({ ...settings, RUNNEL_KV: to });
      // The keys of before are on record, with the IDs from before.
      deepEqual(await publish(program.url, 1, 10), published.map(([id]) => [id, true]));
      const next = 11 + index;
      equal((await publish(program.url, next, next)).every(([, isKnown]) => !isKnown), true);
      for (const [place, pipeline] of PIPELINES.entries()) {
        const position = published[place * 10 + 7]![0];
        const events = await readToLive(await openStream(program, pipeline, position));
        deepEqual(
          events.map(({ type, data }) => type === "tick" ? Number(data) : type),
          [9, 10, ...[11, 12].slice(0, index + 1), "runnel.live"],
        );
      }
      if (index === 0) {
        const stream = await fetch(`${program.url}/pipelines/p_a/sse${ticket}`);
        equal(stream.status, 200);
        await stream.body?.cancel();
      }
      await end(program);
    }

    // Both may go on, once clients can tell them apart.
    const restored = await runStorageTask("restore", { kv: folder.kv });
    deepEqual([restored.code, restored.stderr], [0, ""]);
    await using program = await Program.start({ ...SECURED, RUNNEL_KV: folder.kv });
    const [gap] = await readToLive(await openStream(program, "p_a", published[7]![0]));
    deepEqual([gap!.type, gap!.data], ["runnel.gap", '{"missed":null,"reason":"unknown"}']);
  },
);

Deno.test("deno task copy takes along the end of a run, and how much of an append stands", async () => {
  await using folder = new DataFolder();
  const to = `${folder.path}/copy.sqlite`;
  const headers = { "Idempotency-Key": "run" };
  let before: unknown;
  let endId: string;
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    await append(program, lines(1, 2) + line(3, { end: true }), { headers });
    before = await readStanding(program, "run");
    endId = (await (await openStream(program, "p_a")).events(Infinity)).at(-1)!.id!;
    await end(program);
  }
  equal((await runStorageTask("copy", { kv: "", args: [folder.kv, to] })).code, 0);
  await using program = await Program.start({ RUNNEL_KV: to });
  deepEqual(await readStanding(program, "run"), before);
  equal((await append(program, line(4))).type, "run-ended");
  const back = await fetch(`${program.url}/pipelines/p_a/sse?lastEventId=${endId}`);
  equal(back.status, 204);
});

testWithDenokv(
  "deno task copy stops the services that use a KV server, and has what they stored",
  async () => {
    await using folder = new DataFolder();
    await folder.make(".");
    await using server = await DenoKv.start();
    await using program = await Program.start({
      ...server.settings,
      ...SECURED,
      RUNNEL_ISOLATES: "2",
    });
    const { url } = program;
    const stored: string[] = [];
    let status = 202;
    const writing = (async () => {
      while (status === 202) {
        const response = await fetch(`${url}/ingest/p_a/tick`, {
          method: "POST",
          body: "text",
          headers: { Authorization: `Bearer ${TOKEN}` },
        });
        ({ status } = response);
        const answer = await response.json();
        if (status === 202) stored.push(answer.events[0].id);
      }
    })();
    const file = `${folder.path}/copy.sqlite`;
    const [{ code, stderr }] = await Promise.all([copy(server.url, file, server), writing]);
    deepEqual([code, status], [0, 503], stderr);
    match(
      program.errors,
      /The log is copied to .*copy\.sqlite: all requests that need it are refus/,
    );
    const ready = await fetch(`${url}/readyz`);
    await ready.body?.cancel();
    equal(ready.status, 503);
    await end(program);
    await using copied = await Program.start({ RUNNEL_KV: file, RUNNEL_HISTORY: "400" });
    const events = await readToLive(await openStream(copied, "p_a"));
    deepEqual(events.slice(0, -1).map(({ id }) => id), stored.slice(-events.length + 1));
  },
);

testWithDenokv(
  "deno task copy refuses a KV server that another program still writes to",
  async () => {
    await using folder = new DataFolder();
    await folder.make(".");
    await using server = await DenoKv.start();
    using kv = await server.open();
    let isOver = false;
    const writing = (async () => {
      for (let i = 0; !isOver; i++) await kv.set(["log", "p_a", i % 10], new Uint8Array(10));
    })();
    const file = `${folder.path}/copy.sqlite`;
    const { code, stderr } = await copy(server.url, file, server);
    isOver = true;
    await writing;
    equal(code, 1);
    match(stderr, /\nCannot copy: http:\S+ is still written .*Stop all processes that use it/);
    equal((await kv.get(["copy"])).value, null);
    const { code: refused, lines } = await Program.startExpectingFailure({ RUNNEL_KV: file });
    equal(refused, 1);
    match(lines.join("\n"), /^Cannot start: the copy of "http:[^"]+" to this log is incomplete/);
    equal((await copy(server.url, file, server)).code, 0);
  },
);

const misuses: [what: string, args: string[], message: RegExp][] = [
  ["one place", ["a"], /^Cannot copy: expected FROM and TO/],
  ["one place twice", ["deno.json", "./deno.json"], /^Cannot copy: FROM and TO are the same/],
  ["a missing file", [".data/none.sqlite", ".data/other"], /^Cannot copy: there is no file /],
  ["memory", [":memory:", "a"], /^Cannot copy: :memory: is gone/],
  ["a URL of another kind", ["ftp://a", "b"], /^Cannot copy: ftp:\/\/a is neither a file nor/],
];

for (const [what, args, message] of misuses) {
  Deno.test(`deno task copy refuses ${what}`, async () => {
    const { code, stdout, stderr } = await runStorageTask("copy", { kv: "", args });
    deepEqual([code, stdout], [1, ""]);
    match(stderr, message);
  });
}
