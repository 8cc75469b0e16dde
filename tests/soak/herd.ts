/**
 * Load of stalled clients: thousands of subscribers that never read, hundreds of
 * histories that nobody reads, of publishers that send a byte per second, and of
 * connections that send nothing, at the real program, while much is published to
 * their pipeline. Other clients must stay served.
 *
 * Run it with `deno task test:herd --streams 9000 --uploads 300 --histories 300
 * --silent 300 --seconds 30`.
 * If the machine cannot hold that many, the program reports it and continues with
 * fewer.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { fillPipeline } from "../support/clients/misuses.ts";
import { FULL_PIPELINE } from "../support/clients/reading_misuses.ts";
import { percentiles, WellBehavedClients } from "../support/clients/well_behaved.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { DataFolder, Program, UNFINISHED_LINE } from "../support/programs/program.ts";

/** Pipeline that the herd subscribes to. */
const PIPELINE = "p_herd";

/** Number of connections that are opened at a time, and the pause after them, in milliseconds. */
const BATCH = 100;
const BATCH_MS = 100;

/** Time for which other clients are measured before the herd connects, in milliseconds. */
const BEFORE_MS = 5000;

/** Maximum latency of other clients, at the 99th percentile and in all, in milliseconds. */
const P99_MS = 1000;
const MAX_MS = 5000;

/** Maximum memory for each client of the herd, in bytes: a chunk in flight and a bit. */
const MEMORY_EACH = 320 * 1024;

/** Maximum memory that all share, and that may remain after they disconnect, in bytes. */
const MEMORY_SHARED = 768 * 1024 * 1024;

/**
 * Share of the kernel's TCP memory that the herd may fill. If it is exhausted, all
 * connections on the machine stall, whatever a service does.
 */
const TCP_SHARE = 0.75;

/** Time limit for the service to free the herd, in milliseconds. */
const REST_MS = 60_000;

const encoder = new TextEncoder();

/** The open connections of stalled clients. */
class Herd implements Disposable {
  readonly connections: Deno.Conn[] = [];
  /** Reason why no more connections are opened; empty while they are. */
  reason = "";
  readonly #port: number;
  readonly #uploads: Deno.Conn[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  /** Opens streams and never reads them. */
  async listen(count: number): Promise<void> {
    const head = `GET /pipelines/${PIPELINE}/sse HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    await this.#open(count, head);
  }

  /** Asks for histories of 5 MB and never reads them. */
  async read(count: number): Promise<void> {
    await this.#open(
      count,
      `GET /pipelines/${FULL_PIPELINE}/events HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
  }

  /** Opens connections that send nothing. */
  async connect(count: number): Promise<void> {
    await this.#open(count, "");
  }

  /** Begins uploads that never end. */
  async upload(count: number): Promise<void> {
    const head = "POST /ingest HTTP/1.1\r\nHost: localhost\r\n" +
      "Content-Type: application/json\r\nContent-Length: 500000\r\n\r\n";
    this.#uploads.push(...await this.#open(count, head));
  }

  /** Sends a byte of each upload, and restarts uploads that the service ended. */
  async trickle(): Promise<void> {
    const ended: Deno.Conn[] = [];
    await Promise.all(this.#uploads.map(async (connection) => {
      try {
        await connection.write(encoder.encode(" "));
      } catch {
        ended.push(connection);
      }
    }));
    for (const connection of ended) {
      this.#uploads.splice(this.#uploads.indexOf(connection), 1);
      this.connections.splice(this.connections.indexOf(connection), 1);
      connection.close();
    }
    await this.upload(ended.length);
  }

  async #open(count: number, head: string): Promise<Deno.Conn[]> {
    const opened: Deno.Conn[] = [];
    while (opened.length < count && this.reason === "") {
      if (await tcpShare() > TCP_SHARE) {
        this.reason = `${100 * TCP_SHARE} % of the kernel's memory for TCP are in use`;
        break;
      }
      const size = Math.min(BATCH, count - opened.length);
      const results = await Promise.allSettled(
        Array.from({ length: size }, async () => {
          const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
          await connection.write(encoder.encode(head));
          return connection;
        }),
      );
      for (const result of results) {
        if (result.status === "fulfilled") opened.push(result.value);
        else this.reason = String(result.reason);
      }
      // Events that are published during the pause fill the connections.
      await pause(BATCH_MS);
    }
    this.connections.push(...opened);
    return opened;
  }

  [Symbol.dispose](): void {
    for (const connection of this.connections) connection.close();
    this.connections.length = 0;
  }
}

/** Publishes 60 KB events as fast as they are accepted. */
async function publishMuch(url: string, isOver: () => boolean): Promise<number> {
  const payload = JSON.stringify("x".repeat(60_000));
  let events = 0;
  while (!isOver()) {
    const answer = await fetch(`${url}/ingest/${PIPELINE}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: payload,
    });
    await answer.body?.cancel();
    ok([202, 503].includes(answer.status), `A heavy publish is answered ${answer.status}`);
    if (answer.status === 202) events++;
    await pause(20);
  }
  return events;
}

/** Returns the share of the kernel's TCP memory that is in use, from 0 to 1. */
async function tcpShare(): Promise<number> {
  const { tcpMemPages, inUse } = await machine();
  return Number(/mem (\d+)/.exec(inUse!)![1]) / Number(tcpMemPages!.split(" ")[2]);
}

/** Reads the limits of the machine, and its use of TCP. */
async function machine(): Promise<Record<string, string>> {
  const read = async (path: string) => (await Deno.readTextFile(path)).trim().replace(/\s+/g, " ");
  const limits = await Deno.readTextFile("/proc/self/limits");
  const sockets = await Deno.readTextFile("/proc/net/sockstat");
  return {
    openFiles: /Max open files\s+(\d+)/.exec(limits)![1]!,
    tcpMemPages: await read("/proc/sys/net/ipv4/tcp_mem"),
    tcpWmem: await read("/proc/sys/net/ipv4/tcp_wmem"),
    ports: await read("/proc/sys/net/ipv4/ip_local_port_range"),
    inUse: /TCP: .*/.exec(sockets)![0],
  };
}

/** Numbers of stalled clients by kind, and the time for which they stay. */
interface HerdOptions {
  streams: number;
  uploads: number;
  histories: number;
  silent: number;
  seconds: number;
}

async function run(
  { streams, uploads, histories, silent, seconds }: HerdOptions,
): Promise<void> {
  await using folder = new DataFolder();
  await folder.make(".");
  await using program = await Program.start({
    RUNNEL_KV: folder.kv,
    RUNNEL_MAX_SUBSCRIBERS: "1000000",
    RUNNEL_MAX_PIPELINE_SUBSCRIBERS: "1000000",
  });
  const { url } = program;
  const port = Number(new URL(url).port);
  console.log(await machine());

  await fillPipeline(url, {});
  const before = new WellBehavedClients(url);
  await pause(BEFORE_MS);
  await before.stop();
  const idle = await program.memory();

  let most = 0;
  let opened = 0;
  const during = new WellBehavedClients(url);
  {
    using herd = new Herd(port);
    let endsAt = Infinity;
    const isOver = () => performance.now() >= endsAt;
    const heavy = publishMuch(url, isOver);
    const start = performance.now();
    await herd.connect(silent);
    await herd.upload(uploads);
    await herd.read(histories);
    await herd.listen(streams);
    opened = herd.connections.length - uploads - silent;
    console.log(
      `${opened} streams and histories, ${uploads} uploads, ${silent} silent, opened in ${
        Math.round(performance.now() - start)
      } ms; ${herd.reason || "as many as asked for"}`,
    );
    endsAt = performance.now() + seconds * 1000;
    while (!isOver()) {
      await herd.trickle();
      most = Math.max(most, await program.memory());
      await pause(1000);
    }
    console.log(`${await heavy} events of 60 KB`, await machine());
  }
  await during.stop();

  const after = new WellBehavedClients(url);
  const bound = idle + MEMORY_SHARED + opened * MEMORY_EACH;
  const restedBy = performance.now() + REST_MS;
  let rested = await program.memory();
  while (rested > idle + MEMORY_SHARED && performance.now() < restedBy) {
    await pause(500);
    rested = await program.memory();
  }
  await after.stop();
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  console.log({
    memoryMiB: { idle: mib(idle), most: mib(most), rested: mib(rested), bound: mib(bound) },
    publishMs: { before: percentiles(before.publishMs), during: percentiles(during.publishMs) },
    deliveryMs: { before: percentiles(before.deliveryMs), during: percentiles(during.deliveryMs) },
  });
  // It is told to take more subscribers than a process has open files.
  const complaints = program.complaints.filter((line) =>
    !/^RUNNEL_MAX_SUBSCRIBERS is/.test(line) && !UNFINISHED_LINE.test(line)
  );
  equal(complaints.join("\n"), "", "the program writes nothing else to standard error");
  for (const times of [during.publishMs, during.deliveryMs]) {
    const { p99, max } = percentiles(times);
    ok(p99 < P99_MS && max < MAX_MS, "others are served all the time");
  }
  ok(most <= bound, `its memory stays bounded: ${mib(most)} MiB`);
  ok(rested <= idle + MEMORY_SHARED, `its memory comes back: ${mib(rested)} MiB`);
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const values = readOptions("test:herd", {
    streams: "9000",
    uploads: "300",
    histories: "300",
    silent: "300",
    seconds: "30",
  });
  const options = {
    streams: Number(values.streams),
    uploads: Number(values.uploads),
    histories: Number(values.histories),
    silent: Number(values.silent),
    seconds: Number(values.seconds),
  };
  const flags = Object.entries(options).map(([name, value]) => `--${name} ${value}`);
  console.log(`deno task test:herd ${flags.join(" ")}`);
  await run(options);
}
