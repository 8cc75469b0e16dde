/**
 * A day in minutes: rounds in which a crowd joins, publishes to many pipelines, stalls,
 * deletes and leaves again, at the real program. After each round all have left, and the
 * program must need as many descriptors as before; its memory, its file and the latency of
 * a probe that stays are followed over all rounds.
 *
 * In the first half, the program is restarted every few rounds, and the probe continues
 * over it. In the second half it runs on, and fails the run if one of the series grows.
 * Run it with `deno task test:soak --seed 7 --minutes 30`.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { Crowd, type CrowdSize, type CrowdSums } from "../support/clients/crowd.ts";
import { Probe } from "../support/clients/probe.ts";
import { percentiles } from "../support/clients/well_behaved.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { DataFolder, Program, UNFINISHED_LINE } from "../support/programs/program.ts";
import { judge, type Tolerance } from "./trend.ts";

/** Least number of rounds, and the least and greatest time of one, in milliseconds. */
const ROUNDS = 10;
const ROUND_MS = [3000, 15_000] as const;

/** Rest after a round, in milliseconds, and the time for descriptors to be closed. */
const REST_MS = 1000;
const CLOSE_MS = 10_000;

/** Rounds between restarts, in the first half. */
const RESTART_EVERY = 3;

/** Events that the log keeps of a pipeline: few, so that its file is full in the first half. */
const RETENTION = "100";

/** Bytes of the newest events in memory: few, for the same reason. */
const MAX_TAIL_BYTES = String(16 * 2 ** 20);

/** Growth over the second half that is tolerated. */
const TOLERANCES = {
  memoryMiB: { share: 0.15, amount: 32 },
  descriptors: { share: 0, amount: 2 },
  fileMiB: { share: 0.1, amount: 24 },
  // Much, because a machine that others use makes both several times as long for minutes.
  deliveryP50Ms: { share: 0.5, amount: 30 },
  deliveryP99Ms: { share: 1, amount: 500 },
} satisfies Record<string, Tolerance>;

/** Time after which the heap and the allocator are warm, and their growth before that, in MiB. */
const WARM_MINUTES = 10;
const WARM_UP_MIB = 128;

/** Share of publishes that may be refused without a drain: a disk that others use may block for seconds. */
const MAX_REFUSED = 0.001;

/** Lines that the program may print: of the first half alone, and of all. */
const REFUSED_LINE = /^Cannot (POST|DELETE) /;
const DELETED_LINE = /^The text of deleted events stays in the file/;

/** Measured values after a round. */
type Measured = Record<keyof typeof TOLERANCES, number>;

/** The program, which is restarted in place. */
class Service implements AsyncDisposable {
  readonly #settings: Record<string, string>;
  #program: Program | null = null;
  /** Whether a restart has begun, and all clients may not be back. */
  isRestarting = false;
  url = "";

  constructor(settings: Record<string, string>) {
    this.#settings = settings;
  }

  async start(): Promise<void> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    this.#program = await Program.start({ ...this.#settings, PORT: port });
    this.url = this.#program.url;
  }

  async stop(): Promise<void> {
    await using program = this.#program!;
    program.kill("SIGTERM");
    equal(await program.exit(), 0, program.errors);
    const complaints = program.complaints.filter((line) =>
      // Pipelines are deleted from a file that is too large to be compacted meanwhile, and
      // publishes in flight are refused at the end of a drain. Some clients are stalled.
      !UNFINISHED_LINE.test(line) && !DELETED_LINE.test(line) &&
      !(this.isRestarting && REFUSED_LINE.test(line))
    );
    equal(complaints.join("\n"), "", "the program writes nothing else to standard error");
  }

  async descriptors(): Promise<number> {
    let count = 0;
    for await (const _ of Deno.readDir(`/proc/${this.#program!.pid}/fd`)) count++;
    return count;
  }

  /** Returns the least memory in use of a second: between two collections of garbage. */
  async memory(): Promise<number> {
    let least = Infinity;
    for (let count = 0; count < 10; count++) {
      least = Math.min(least, await this.#program!.memory());
      await pause(REST_MS / 10);
    }
    return least;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
  }
}

/** Options of a run. */
interface SoakOptions extends CrowdSize {
  seed: number;
  minutes: number;
}

async function run({ seed, minutes, ...size }: SoakOptions): Promise<void> {
  const random = new SeededRandom(seed);
  await using folder = new DataFolder();
  await folder.make(".");
  await using service = new Service({
    RUNNEL_KV: folder.kv,
    RUNNEL_RETENTION: RETENTION,
    RUNNEL_MAX_TAIL_BYTES: MAX_TAIL_BYTES,
  });
  await service.start();
  const url = () => service.url;
  const mayBreak = () => service.isRestarting;
  const probe = new Probe({ url, mayBreak, everyMs: 50 });
  const roundMs = Math.min(Math.max(minutes * 60_000 / ROUNDS, ROUND_MS[0]), ROUND_MS[1]);
  const rounds = Math.max(Math.round(minutes * 60_000 / roundMs), ROUNDS);
  const all: Measured[] = [];
  const sums: CrowdSums = { joined: 0, published: 0, refused: 0, delivered: 0, deleted: 0 };
  // The connections of the probe are among them.
  let base = Infinity;
  let restarts = 0;
  // Without those of drains.
  let refused = 0;
  for (let round = 1; round <= rounds; round++) {
    const isRestarted = round < rounds / 2 && round % RESTART_EVERY === 0;
    service.isRestarting = isRestarted;
    const crowd = new Crowd({ ...size, url, mayBreak, random, round });
    const leaving = crowd.run(Math.max(roundMs - 2 * REST_MS, REST_MS));
    if (isRestarted) {
      await pause(REST_MS);
      await service.stop();
      await service.start();
      restarts++;
      base = Infinity;
    }
    const done = await leaving;
    for (const name of Object.keys(sums) as (keyof CrowdSums)[]) sums[name] += done[name];
    if (!isRestarted) refused += done.refused;
    const latency = percentiles(probe.take());
    const closedBy = performance.now() + CLOSE_MS;
    await pause(REST_MS);
    let descriptors = await service.descriptors();
    while (descriptors > base && performance.now() < closedBy) {
      await pause(REST_MS / 4);
      descriptors = await service.descriptors();
    }
    base = Math.min(base, descriptors);
    const measured: Measured = {
      memoryMiB: await service.memory() / 2 ** 20,
      descriptors,
      fileMiB: await sizeOf(folder.path) / 2 ** 20,
      deliveryP50Ms: latency.p50,
      deliveryP99Ms: latency.p99,
    };
    all.push(measured);
    console.log(JSON.stringify({ round, ...rounded(measured), ...isRestarted && { isRestarted } }));
    await probe.check();
  }
  await probe.stop();
  await service.stop();
  ok(refused <= MAX_REFUSED * sums.published, `${refused} publishes were refused`);
  ok(restarts > 0 && sums.deleted > 0, "the run restarted the program, and deleted pipelines");

  const trends = Object.entries(TOLERANCES).map(([name, tolerance]) => {
    const isColdMemory = name === "memoryMiB" && minutes < WARM_MINUTES;
    const amount = isColdMemory ? WARM_UP_MIB : tolerance.amount;
    const trend = judge(all.map((measured) => measured[name as keyof Measured]), {
      ...tolerance,
      amount,
    });
    return { name, ...trend };
  });
  console.log({
    rounds,
    restarts,
    ...sums,
    probed: probe.delivered,
    probeRefused: probe.refused,
    streams: probe.connections,
  });
  for (const { name, median, growth, limit } of trends) {
    console.log(`second half: ${name}`, rounded({ median, growth, limit }));
  }
  const growing = trends.filter(({ grows }) => grows).map(({ name }) => name);
  equal(growing.join(", "), "", "nothing grows over the second half");
}

/** Returns the size of all files of a folder, in bytes. */
async function sizeOf(folder: string): Promise<number> {
  const url = new URL(`../../${folder}/`, import.meta.url);
  let bytes = 0;
  for await (const { name } of Deno.readDir(url)) {
    // A file of the store may be replaced meanwhile.
    bytes += await Deno.stat(new URL(name, url)).then(({ size }) => size, () => 0);
  }
  return bytes;
}

function rounded<Name extends string>(values: Record<Name, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries<number>(values).map(([name, value]) => [name, Math.round(value * 10) / 10]),
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const values = readOptions("test:soak", {
    seed: String(Math.floor(Math.random() * 1e9)),
    minutes: "1",
    subscribers: "300",
    pipelines: "200",
    publishers: "4",
    stalled: "20",
    brief: "20",
  });
  const options = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number(value)]),
  ) as unknown as SoakOptions;
  const flags = Object.entries(options).map(([name, value]) => `--${name} ${value}`);
  console.log(`deno task test:soak ${flags.join(" ")}`);
  await run(options);
}
