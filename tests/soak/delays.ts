/**
 * Delays by single requests, and by some that come at once: sends the worst request
 * of each kind to the real program, and measures how long the answer to another
 * request takes in the meantime.
 *
 * A busy machine delays both, so that each request is sent several times, and its
 * shortest delay counts: what blocks, blocks each time. The program prints a table,
 * and fails if one kind delays others by more than the maximum.
 *
 * Run it with `deno task test:delays --seed 7 --rounds 10`, or for some of the kinds
 * only, such as `--kind ticket`.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { bearerHeader, PUBLISH_TOKEN, SECRET } from "../support/clients/tokens.ts";
import { SeededRandom } from "../support/generators/random.ts";
import {
  FULL_PIPELINE,
  MANY_CHANNELS,
  MANY_EVENTS,
  type SlowRequest,
  slowRequests,
} from "../support/generators/slow_requests.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { DataFolder, Program, UNFINISHED_LINE } from "../support/programs/program.ts";

/** Maximum delay of another request, in milliseconds. */
const MAX_DELAY_MS = 50;

/** Pause between two probes, in milliseconds. */
const PROBE_PAUSE_MS = 1;

/** Time without a slow request before and after each one, in milliseconds. */
const REST_MS = 30;

/** Time limit for a response, in milliseconds. */
const ANSWER_MS = 15_000;

/** Number of events of the pipeline that is read, and the size of each payload, in bytes. */
const EVENTS = 400;
const EVENT_BYTES = 60_000;

const encoder = new TextEncoder();

/** Sends `GET /healthz` again and again on one connection, and notes the longest answer. */
class Probe implements AsyncDisposable {
  /** Longest time for an answer since it was set to 0, in milliseconds. */
  longestMs = 0;
  readonly #connection: Deno.Conn;
  readonly #ended: Promise<void>;
  #isEnding = false;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
    this.#ended = this.#run();
  }

  static async start(port: number): Promise<Probe> {
    return new Probe(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async #run(): Promise<void> {
    const request = encoder.encode("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const buffer = new Uint8Array(4096);
    while (!this.#isEnding) {
      const since = performance.now();
      await this.#connection.write(request);
      const length = await this.#connection.read(buffer);
      ok(length !== null && new TextDecoder().decode(buffer.subarray(0, length)).endsWith("ok\n"));
      this.longestMs = Math.max(this.longestMs, performance.now() - since);
      await pause(PROBE_PAUSE_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
    this.#connection.close();
  }
}

/** Sends a request on a connection of its own, and returns the status of its response. */
async function send(
  port: number,
  { method, path, headers, body, until }: SlowRequest,
): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  let isOpen = true;
  const close = () => {
    if (isOpen) connection.close();
    isOpen = false;
  };
  const content = encoder.encode(body);
  const lines = Object.entries({
    Host: "localhost",
    Connection: "close",
    ...content.length > 0 && { "Content-Length": String(content.length) },
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = encoder.encode(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  const timer = setTimeout(close, ANSWER_MS);
  const sending = write(connection, head).then(() => write(connection, content)).catch(() => {});
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(256 * 1024);
  let status = "";
  try {
    for (let end = ""; isOpen;) {
      const length = await connection.read(buffer);
      if (length === null) break;
      const text = decoder.decode(buffer.subarray(0, length), { stream: true });
      if (status === "") status = text.split(" ")[1] ?? "";
      end = (end + text).slice(-1000);
      if (until !== undefined && end.includes(until)) break;
    }
  } catch (error) {
    // A response that came before the rest of the request was sent, or did not end in time.
    const { ConnectionReset, Interrupted } = Deno.errors;
    if (!(error instanceof ConnectionReset || error instanceof Interrupted)) throw error;
  }
  clearTimeout(timer);
  close();
  await sending;
  return status;
}

/** Sends a request, as often at once as it says, and returns the status of the last response. */
async function sendAll(port: number, { atOnce = 1, ...request }: SlowRequest): Promise<string> {
  const statuses = Array.from({ length: atOnce }, (_, number) => {
    const path = request.path.replaceAll("{n}", String(number));
    return send(port, { ...request, path });
  });
  return (await Promise.all(statuses)).at(-1)!;
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function publish(url: string, events: readonly unknown[]): Promise<void> {
  const response = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { ...bearerHeader(PUBLISH_TOKEN), "Content-Type": "application/json" },
    body: JSON.stringify(events),
  });
  await response.body?.cancel();
  equal(response.status, 202);
}

/** Publishes events to pipelines, each to a channel of its own. */
async function publishChannels(url: string): Promise<void> {
  for (const pipeline of MANY_CHANNELS) {
    for (let sent = 0; sent < MANY_EVENTS; sent += 1000) {
      const numbers = Array.from({ length: 1000 }, (_, index) => sent + index);
      await publish(url, numbers.map((n) => ({ pipeline, channel: String(n), payload: n })));
    }
  }
}

/** Publishes events of two channels, so that there is something to read. */
async function publishMuch(url: string): Promise<void> {
  const payload = "x".repeat(EVENT_BYTES);
  for (let sent = 0; sent < EVENTS; sent += 8) {
    const events = ["even", "odd"].flatMap((channel) =>
      Array(4).fill({ pipeline: FULL_PIPELINE, channel, payload })
    );
    await publish(url, events);
  }
}

async function run(seed: number, rounds: number, kind: string): Promise<void> {
  await using folder = new DataFolder();
  await folder.make(".");
  await using program = await Program.start({
    RUNNEL_KV: folder.kv,
    RUNNEL_HISTORY: String(EVENTS),
    RUNNEL_RETENTION: String(MANY_EVENTS),
    RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN,
    RUNNEL_TOKEN_SECRET: SECRET,
    // The events of an append would wait, and the requests after it be refused.
    RUNNEL_PUBLISH_RATE: "1000000",
  });
  await publishMuch(program.url);
  await publishChannels(program.url);
  const port = Number(new URL(program.url).port);
  const requests = (await slowRequests(new SeededRandom(seed)))
    .filter((request) => request.kind.includes(kind));
  const delays = new Map<string, { ms: number[]; status: string; bytes: number }>();
  {
    await using probe = await Probe.start(port);
    for (let round = 0; round < rounds; round++) {
      for (const request of requests) {
        await pause(REST_MS);
        probe.longestMs = 0;
        const status = await sendAll(port, request);
        await pause(REST_MS);
        const ms = delays.get(request.kind)?.ms ?? [];
        ms.push(probe.longestMs);
        delays.set(request.kind, { ms, status, bytes: request.body.length });
      }
    }
  }
  const table = [...delays].map(([kind, { ms, status, bytes }]) => {
    const sorted = ms.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)]!;
    return { kind, bytes, status, least: sorted[0]!, median, most: sorted.at(-1)! };
  }).sort((a, b) => b.least - a.least);
  console.log("least  median    most   status   bytes  kind (delays in ms)");
  for (const { kind, bytes, status, least, median, most } of table) {
    const [a, b, c] = [least, median, most].map((ms) => ms.toFixed(1));
    console.log(
      a!.padStart(5),
      b!.padStart(7),
      c!.padStart(7),
      status.padStart(7),
      String(bytes).padStart(8),
      kind,
    );
  }
  const slow = table.filter(({ least }) => least > MAX_DELAY_MS).map(({ kind }) => kind);
  equal(slow.join("\n"), "", `no request delays another by more than ${MAX_DELAY_MS} ms`);
  // One of the requests has the headers of a proxy.
  const complaints = program.complaints.filter((line) =>
    !/^A proxy of this machine/.test(line) && !UNFINISHED_LINE.test(line)
  );
  equal(complaints.join("\n"), "", "the program writes nothing else to standard error");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const values = readOptions("test:delays", {
    seed: "1",
    rounds: "10",
    kind: "",
  });
  const { seed, rounds, kind } = values;
  console.log(`deno task test:delays --seed ${seed} --rounds ${rounds}`);
  await run(Number(seed), Number(rounds), kind);
}
