/**
 * A bad week in minutes: the instances of a service on one KV server are
 * killed, restarted one by one and cut off from their store, while publishers
 * retry with their keys and subscribers come back as an EventSource does. In
 * the end everyone's record is compared with what was accepted.
 *
 * Run it with `deno task test:faults --seed 7 --minutes 10`. The same seed makes
 * the same choices.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { parseArgs } from "node:util";
import { DenoKv, denoKv } from "./support/denokv.ts";
import { Acceptances, LastingSubscriber, publish, type Service } from "./support/fault_load.ts";
import { Program } from "./support/program.ts";
import { SeededRandom } from "./support/random.ts";

/** How many isolates each instance has. */
const INSTANCES = [1, 1, 2];
const PUBLISHERS = 4;
const SUBSCRIBERS = 8;

/** How often it says how far it is, in milliseconds. */
const PROGRESS_MS = 10_000;

/** The faults: each of a round in its turn, and the rounds differ. */
const FAULTS = ["kill", "kill", "rolling restart", "stopped store", "frozen store"] as const;

/** The instances, and what befalls them. */
class Instances implements AsyncDisposable {
  readonly #kv: DenoKv;
  readonly #random: SeededRandom;
  readonly #programs: (Program | null)[] = INSTANCES.map(() => null);
  /** How often each fault was there. */
  readonly faults: Record<string, number> = {};

  constructor(kv: DenoKv, random: SeededRandom) {
    this.#kv = kv;
    this.#random = random;
  }

  async start(): Promise<void> {
    for (const index of INSTANCES.keys()) await this.#start(index);
  }

  async #start(index: number): Promise<void> {
    const settings = {
      ...this.#kv.settings,
      RUNNEL_KV_TIMEOUT_MS: "2000",
      RUNNEL_ISOLATES: String(INSTANCES[index]),
    };
    this.#programs[index] = await Program.start(settings);
  }

  pick(random: SeededRandom): string {
    return random.pick(this.#programs.filter((program) => program !== null)).url;
  }

  async suffer(isOver: () => boolean): Promise<void> {
    let round: string[] = [];
    while (!isOver()) {
      await pause(this.#random.integer(500, 3000));
      if (round.length === 0) round = this.#random.shuffled(FAULTS);
      const fault = round.pop()!;
      console.log(fault);
      this.faults[fault] = (this.faults[fault] ?? 0) + 1;
      if (fault === "kill") await this.#kill(this.#random.integer(0, INSTANCES.length - 1));
      else if (fault === "rolling restart") await this.#restartAll();
      else await this.#withoutStore(fault === "frozen store");
    }
  }

  async #kill(index: number): Promise<void> {
    await this.#end(index, "SIGKILL");
    await this.#start(index);
  }

  async #restartAll(): Promise<void> {
    for (const index of INSTANCES.keys()) {
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

  async #withoutStore(isFrozen: boolean): Promise<void> {
    if (isFrozen) this.#kv.freeze();
    else await this.#kv.stop();
    await pause(this.#random.integer(1000, 10_000));
    if (isFrozen) this.#kv.thaw();
    else await this.#kv.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) await program?.[Symbol.asyncDispose]();
  }
}

async function run(seed: number, minutes: number): Promise<void> {
  // Each has its own choices, in whatever order they come to make them.
  const random = () => new SeededRandom(seed++);
  await using kv = await DenoKv.start();
  await using instances = new Instances(kv, random());
  await instances.start();
  const endsAt = Date.now() + minutes * 60_000;
  const service: Service = {
    pick: (random) => instances.pick(random),
    isOver: () => Date.now() >= endsAt,
    pause,
  };
  const acceptances = new Acceptances();
  const subscribers = Array.from(
    { length: SUBSCRIBERS },
    (_, index) => new LastingSubscriber(service, random(), index % 4 === 0),
  );
  const { log } = acceptances;
  const progress = setInterval(() => console.log(`${log.length} events`), PROGRESS_MS);
  await Promise.all([
    instances.suffer(service.isOver),
    ...Array.from(
      { length: PUBLISHERS },
      (_, index) => publish(String(index), service, random(), acceptances),
    ),
    ...subscribers.map((subscriber) => subscriber.listen()),
  ]);
  clearInterval(progress);

  acceptances.verify();
  let delivered = 0;
  for (const subscriber of subscribers) {
    const sums = await subscriber.verify(log);
    equal(sums.missed, 0, "nobody was away for long enough to miss anything");
    delivered += sums.delivered;
  }
  const latencies = subscribers.flatMap((subscriber) => subscriber.latencies).sort((a, b) => a - b);
  const percentile = (share: number) => latencies[Math.floor(latencies.length * share)];
  console.log({
    published: log.length,
    delivered,
    retries: acceptances.retries,
    connections: subscribers.reduce((sum, { connections }) => sum + connections, 0),
    faults: instances.faults,
    liveMs: { p50: percentile(0.5), p99: percentile(0.99) },
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      minutes: { type: "string", default: "1" },
    },
  });
  if (!denoKv.isThere) {
    console.error(`Cannot run: it needs a KV server. Install it with: ${denoKv.install}`);
    Deno.exit(1);
  }
  console.log(`deno task test:faults --seed ${values.seed} --minutes ${values.minutes}`);
  await run(Number(values.seed), Number(values.minutes));
}
