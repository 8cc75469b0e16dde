/**
 * A bad week in minutes: the instances of a service are killed, restarted one by
 * one and cut off from their store, while publishers retry with their keys and
 * subscribers come back as an EventSource does. In the end the record of each
 * subscriber is compared with what was accepted.
 *
 * Publishers send in bursts with silence between them, and between faults there
 * are quiet times, in which every event must arrive within a second of its 202:
 * also the last one of a burst, whose loss no later event reveals.
 *
 * Other clients append the events of runs while they happen, with a key, and come back after
 * each break; some leave their connection half open, and send more once the run has ended.
 * Those who follow a run get each event once, in order, then its end, and nothing after it.
 *
 * Others subscribe to several pipelines on one stream: to all of them or some, in any order, as
 * event streams and as lines, as streams and as polls, cut at any byte; and by the client of this
 * project, which comes back by itself.
 *
 * A third of the time goes to three instances on one KV server, one to three
 * isolates on a file that lose half of all broadcasts, and one to a single isolate
 * on a file. Run it with
 * `deno task test:faults --seed 7 --minutes 10`. The same seed makes the same
 * choices.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import {
  Acceptances,
  CHANNELS,
  type LoadContext,
  PIPELINE,
  publishUntilOver,
  ReconnectingSubscriber,
} from "../support/clients/load.ts";
import type { JoinedSums } from "../support/clients/joined_record.ts";
import { ClientSubscriber, JoinedSubscriber } from "../support/clients/joined_subscribers.ts";
import { Runs } from "../support/clients/runs.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { DenoKv, denoKv } from "../support/stores/denokv.ts";
import { eventually } from "../support/wait.ts";

/** Number of isolates of each instance on the KV server. */
const INSTANCES = [1, 1, 2];
const PUBLISHERS = 8;
const SUBSCRIBERS = 8;

/** Pipelines that are subscribed to together with the first, and publishers of each. */
const JOINED_PIPELINES = ["p_joined_a", "p_joined_b", "p_joined_c"];
const JOINED_PUBLISHERS = 2;

/** Number of subscribers of several pipelines, and of the client of this project. */
const JOINED_SUBSCRIBERS = 6;
const CLIENT_SUBSCRIBERS = 4;

/** Number of clients that make runs, one after the other each. */
const WRITERS = 4;

/** Maximum latency of an event in quiet times, in milliseconds. */
const MAX_LATENESS_MS = 1000;

/** Recovery time after a fault before quiet time begins, in milliseconds. */
const RECOVERY_MS = 5000;

/** Minimum and maximum quiet time, in milliseconds. */
const QUIET_MS = [4000, 8000] as const;

/** Minimum and maximum length of a burst of all publishers, in milliseconds. */
const BURST_MS = [100, 2000] as const;

/** Silence after a burst, in milliseconds: longer than the maximum latency. */
const SILENCE_MS = MAX_LATENESS_MS + 300;

/** Number of faults after which a quiet time follows. */
const FAULTS_IN_A_ROW = 2;

/** Interval between progress lines, in milliseconds. */
const PROGRESS_MS = 10_000;

/** Fault that is injected. */
type Fault = "kill" | "rolling restart" | "stopped store" | "frozen store";

/** A service under test. */
interface Deployment {
  /** Starts one instance. */
  start: (index: number) => Promise<Program>;
  /** Number of instances. */
  instances: number;
  /** Faults of a round: each occurs once, and the order differs between rounds. */
  faults: readonly Fault[];
  /** KV server, if the service has one. */
  kv?: DenoKv;
}

/** The instances of a service, and the faults that are injected into them. */
class Instances implements AsyncDisposable {
  readonly #deployment: Deployment;
  readonly #random: SeededRandom;
  readonly #programs: (Program | null)[];
  /** Addresses of the instances, including those that are down. */
  readonly #urls: string[] = [];
  /** Start and end times of faults, in milliseconds. */
  readonly #disturbances: { from: number; to: number }[] = [];
  /** Number of injected faults, by kind. */
  readonly faults: Record<string, number> = {};

  constructor(deployment: Deployment, random: SeededRandom) {
    this.#deployment = deployment;
    this.#random = random;
    this.#programs = Array.from({ length: deployment.instances }, () => null);
  }

  async start(): Promise<void> {
    for (const index of this.#programs.keys()) await this.#start(index);
  }

  async #start(index: number): Promise<void> {
    const program = await this.#deployment.start(index);
    this.#programs[index] = program;
    this.#urls[index] = program.url;
  }

  /** Returns the address of an instance, a running one if possible. */
  pick(random: SeededRandom): string {
    const running = this.#urls.filter((_, index) => this.#programs[index]);
    return random.pick(running.length > 0 ? running : this.#urls);
  }

  /** Whether no fault was active between two times, or shortly before them. */
  isQuiet(from: number, to: number): boolean {
    return this.#disturbances.every((fault) => fault.from > to || fault.to < from - RECOVERY_MS);
  }

  async suffer(isOver: () => boolean): Promise<void> {
    let round: Fault[] = [];
    let inARow = 0;
    while (!isOver()) {
      await pause(this.#random.integer(500, 3000));
      if (round.length === 0) round = this.#random.shuffled(this.#deployment.faults);
      const fault = round.pop()!;
      console.log(fault);
      this.faults[fault] = (this.faults[fault] ?? 0) + 1;
      const disturbance = { from: performance.now(), to: Infinity };
      this.#disturbances.push(disturbance);
      if (fault === "kill") await this.#kill(this.#random.integer(0, this.#programs.length - 1));
      else if (fault === "rolling restart") await this.#restartAll();
      else await this.#withoutStore(this.#deployment.kv!, fault === "frozen store");
      disturbance.to = performance.now();
      if (++inARow < FAULTS_IN_A_ROW && !isOver()) continue;
      inARow = 0;
      console.log("quiet");
      await pause(RECOVERY_MS + this.#random.integer(...QUIET_MS));
    }
  }

  async #kill(index: number): Promise<void> {
    await this.#end(index, "SIGKILL");
    await this.#start(index);
  }

  async #restartAll(): Promise<void> {
    for (const index of this.#programs.keys()) {
      const { code, errors } = await this.#end(index, "SIGTERM");
      equal(code, 0, errors);
      await this.#start(index);
    }
  }

  async #end(index: number, signal: Deno.Signal): Promise<{ code: number; errors: string }> {
    await using program = this.#programs[index]!;
    this.#programs[index] = null;
    program.kill(signal);
    const code = await program.exit();
    return { code, errors: program.errors };
  }

  async #withoutStore(kv: DenoKv, isFrozen: boolean): Promise<void> {
    if (isFrozen) kv.freeze();
    else await kv.stop();
    await pause(this.#random.integer(1000, 10_000));
    if (isFrozen) kv.thaw();
    else await kv.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) await program?.[Symbol.asyncDispose]();
  }
}

/** Bursts of all publishers, with silence between them. */
class Bursts {
  readonly #random: SeededRandom;
  #end = 0;
  #next: Promise<void> = Promise.resolve();

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Waits for the next burst if there is silence. */
  wait = async (): Promise<void> => {
    const now = performance.now();
    if (now >= this.#end) {
      const burstMs = this.#random.integer(...BURST_MS);
      // The first burst begins at once.
      const silenceMs = this.#end > 0 ? SILENCE_MS : 0;
      this.#end = now + silenceMs + burstMs;
      this.#next = pause(silenceMs);
    }
    await this.#next;
  };
}

async function run(deployment: Deployment, seed: number, minutes: number): Promise<void> {
  // Each has its own random numbers, so that their order of execution changes no choice.
  const random = () => new SeededRandom(seed++);
  await using instances = new Instances(deployment, random());
  await instances.start();
  const endsAt = Date.now() + minutes * 60_000;
  let isOver = false;
  const service: LoadContext = {
    pick: (random) => instances.pick(random),
    isOver: () => isOver,
    pause,
    bursts: new Bursts(random()).wait,
  };
  const acceptances = new Acceptances();
  const subscribers = Array.from(
    { length: SUBSCRIBERS },
    (_, index) => new ReconnectingSubscriber(service, random(), index % 4 === 0),
  );
  const others = JOINED_PIPELINES.map((pipeline) => new Acceptances(pipeline));
  const all = [acceptances, ...others];
  const joined = Array.from({ length: JOINED_SUBSCRIBERS }, (_, index) =>
    new JoinedSubscriber({
      service,
      random: random(),
      pipelines: all.map(({ pipeline }) => pipeline),
      channels: index % 3 === 0 ? [CHANNELS[0]] : [],
    }));
  const clients = Array.from({ length: CLIENT_SUBSCRIBERS }, (_, index) => {
    const own = random();
    return new ClientSubscriber({
      random: own,
      pipelines: index % 2 === 0 ? all.map(({ pipeline }) => pipeline) : [PIPELINE],
      channels: [],
      fetch: (path, init) => fetch(instances.pick(own) + path, init),
      pause: () => pause(RECOVERY_MS),
    });
  });
  const counts = { runs: 0, events: 0, breaks: 0, problems: {}, stalls: 0, connections: 0 };
  const { log } = acceptances;
  const listening = clients.map((client) => client.listen());
  const progress = setInterval(() => console.log(`${log.length} events`), PROGRESS_MS);
  await Promise.all([
    // The last quiet time ends the run, and the load continues until then.
    instances.suffer(() => Date.now() >= endsAt).finally(() => isOver = true),
    ...Array.from(
      { length: PUBLISHERS },
      (_, index) => publishUntilOver(String(index), service, random(), acceptances),
    ),
    ...others.flatMap((acceptances) =>
      Array.from(
        { length: JOINED_PUBLISHERS },
        (_, index) => publishUntilOver(String(index), service, random(), acceptances),
      )
    ),
    ...subscribers.map((subscriber) => subscriber.listen()),
    ...joined.map((subscriber) => subscriber.listen()),
    ...Array.from(
      { length: WRITERS },
      (_, index) => new Runs(String(index), service, random(), counts).untilOver(),
    ),
  ]);
  clearInterval(progress);

  for (const acceptances of all) acceptances.verify();
  const logs = new Map(all.map((acceptances) => [acceptances.pipeline, acceptances.logs]));
  const sumOf = (sums: readonly JoinedSums[]) => {
    for (const { missed } of sums) equal(missed, 0, "none was away for long enough");
    return sums.reduce((sum, { delivered }) => sum + delivered, 0);
  };
  // The clients first: the others are told all when nobody else keeps a pipeline in memory.
  await eventually("the clients have all", () => clients.every((client) => client.hasAll(logs)));
  for (const client of clients) client.end();
  await Promise.all(listening);
  const byClients = sumOf(clients.map((client) => client.verify(logs)));
  const toJoined = sumOf(await Promise.all(joined.map((subscriber) => subscriber.verify(logs))));
  let delivered = 0;
  for (const subscriber of subscribers) {
    const sums = await subscriber.verify(log);
    equal(sums.missed, 0, "no subscriber was away for long enough to miss an event");
    delivered += sums.delivered;
  }
  const isQuiet = instances.isQuiet.bind(instances);
  const lateness = (isQuiet: (from: number, to: number) => boolean) => {
    const all = subscribers.flatMap((subscriber) =>
      subscriber.lateness(acceptances, MAX_LATENESS_MS, isQuiet)
    ).sort((a, b) => a - b);
    const at = (share: number) => Math.round(all[Math.ceil(all.length * share) - 1]! * 10) / 10;
    return { events: all.length, p50: at(0.5), p99: at(0.99), max: at(1) };
  };
  const quiet = lateness(isQuiet);
  console.log({
    published: log.length,
    delivered,
    retries: acceptances.retries,
    connections: subscribers.reduce((sum, { connections }) => sum + connections, 0),
    joined: {
      published: others.reduce((sum, { log }) => sum + log.length, 0),
      delivered: toJoined,
      ...sum(joined.map(({ connections }) => connections)),
    },
    clients: {
      delivered: byClients,
      connections: clients.reduce((sum, { connections }) => sum + connections, 0),
    },
    appended: counts,
    faults: instances.faults,
    quietMs: quiet,
    allMs: lateness(() => true),
  });
  ok(counts.runs > 0, "a run has ended");
  ok(quiet.events > 0, "there was a quiet time");
  ok(quiet.max <= MAX_LATENESS_MS, `in quiet times an event took ${quiet.max} ms`);
}

/** Adds up records of numbers. */
function sum(records: readonly Record<string, number>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [key, value] of records.flatMap((record) => Object.entries(record))) {
    sums[key] = (sums[key] ?? 0) + value;
  }
  return sums;
}

/** Three instances on one KV server. */
async function runProcesses(seed: number, minutes: number): Promise<void> {
  await using kv = await DenoKv.start();
  const start = (index: number) =>
    Program.start({
      ...kv.settings,
      RUNNEL_KV_TIMEOUT_MS: "2000",
      RUNNEL_ISOLATES: String(INSTANCES[index]),
    });
  const faults = ["kill", "kill", "rolling restart", "stopped store", "frozen store"] as const;
  await run({ start, instances: INSTANCES.length, faults, kv }, seed, minutes);
}

/** Three isolates on a file that lose half of all broadcasts. */
async function runIsolates(seed: number, minutes: number): Promise<void> {
  await using folder = new DataFolder();
  await folder.make("");
  const program = [Deno.execPath(), "run", "-A", "tests/support/isolates/isolates_program.ts"];
  const settings = {
    RUNNEL_KV: folder.kv,
    RUNNEL_ENTRY: `./chaotic_isolate.ts?seed=${seed}&fates=lost`,
  };
  const faults = ["kill", "rolling restart"] as const;
  const start = () => Program.start(settings, program);
  await run({ start, instances: 1, faults }, seed, minutes);
}

/** One isolate on a file. */
async function runAlone(seed: number, minutes: number): Promise<void> {
  await using folder = new DataFolder();
  await folder.make("");
  const faults = ["kill", "rolling restart"] as const;
  const start = () => Program.start({ RUNNEL_KV: folder.kv });
  await run({ start, instances: 1, faults }, seed, minutes);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const values = readOptions("test:faults", {
    seed: String(Math.floor(Math.random() * 1e9)),
    minutes: "1",
  });
  if (!denoKv.isInstalled) {
    console.error(`Cannot run: it needs a KV server. Install it with: ${denoKv.install}`);
    Deno.exit(1);
  }
  console.log(`deno task test:faults --seed ${values.seed} --minutes ${values.minutes}`);
  const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
  for (const run of [runProcesses, runIsolates, runAlone]) await run(seed, minutes / 3);
}
