/**
 * Bursts of events with silence after them: measures how late the last events
 * of a burst arrive, whose loss no later event reveals.
 *
 * Eight publishers alternate between the processes of a service; subscribers at
 * each process or isolate note when each event arrives after its 202. The
 * program fails if an event takes longer than a second.
 *
 * Run it with `deno task test:bursts --seed 7 --bursts 1000`, or for some of the
 * deployments only, such as `--deployments "2 processes"`.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { parseEventId } from "../../lib/protocol/event.ts";
import { openStream, type StreamReader } from "../support/clients/stream_reader.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { DataFolder, Program, startCommand } from "../support/programs/program.ts";
import { DenoKv, denoKv } from "../support/stores/denokv.ts";

const PIPELINE = "p_bursts";
const PUBLISHERS = 8;

/** Number of events of a burst, each in its own request. */
const EVENTS = 200;

/** Maximum latency of an event from its 202 to a subscriber, in milliseconds. */
const MAX_LATENESS_MS = 1000;

/** Time after which an event that has not arrived counts as missing, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Maximum pause of a publisher between two requests of a burst, in milliseconds. */
const MAX_GAP_MS = 20;

/** Maximum pause between two bursts, in milliseconds. */
const MAX_PAUSE_MS = 300;

/** A service under test. */
interface Deployment extends AsyncDisposable {
  programs: Program[];
  /** Subscribers of each program: enough that each of its isolates has one. */
  subscribers: number;
}

/** A service of several processes on one KV server. */
async function startProcesses(count: number): Promise<Deployment> {
  await using stack = new AsyncDisposableStack();
  const kv = stack.use(await DenoKv.start());
  const programs: Program[] = [];
  for (let i = 0; i < count; i++) programs.push(stack.use(await Program.start(kv.settings)));
  const resources = stack.move();
  return {
    programs,
    subscribers: 2,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** A service of three isolates on a file. */
async function startIsolates(entry?: string): Promise<Deployment> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(new DataFolder());
  await folder.make("runnel.sqlite", "");
  const settings = { RUNNEL_ISOLATES: "3", RUNNEL_KV: folder.kv };
  const program = entry
    ? await Program.start({ ...settings, RUNNEL_ENTRY: entry }, [
      Deno.execPath(),
      ...["run", "-A", "tests/support/isolates/isolates_program.ts"],
    ])
    : await Program.start(settings, startCommand());
  const programs = [stack.use(program)];
  const resources = stack.move();
  return { programs, subscribers: 12, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** A subscriber that notes when each event arrives. */
class Listener {
  /** Arrival times, by sequence. */
  readonly arrivals = new Map<number, number>();
  readonly #reader: StreamReader;
  #onArrival: () => void = () => {};

  private constructor(reader: StreamReader) {
    this.#reader = reader;
  }

  static async open(program: Program): Promise<Listener> {
    const listener = new Listener(await openStream(program, PIPELINE));
    await listener.#reader.until("runnel.live");
    listener.#listen();
    return listener;
  }

  async #listen(): Promise<void> {
    for (let event; (event = await this.#reader.event());) {
      this.arrivals.set(parseEventId(event.id!)!.sequence, performance.now());
      this.#onArrival();
    }
  }

  /** Waits until all given events have arrived, or until the time is up. */
  async wait(sequences: readonly number[], until: number): Promise<void> {
    while (!sequences.every((sequence) => this.arrivals.has(sequence))) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onArrival = resolve;
      const timer = setTimeout(resolve, until - performance.now());
      await promise;
      clearTimeout(timer);
      if (performance.now() >= until) return;
    }
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}

/** Publishes one event and returns its sequence and the time of its answer. */
async function publish(url: string, payload: number): Promise<{ sequence: number; at: number }> {
  const response = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ pipeline: PIPELINE, channel: "tick", payload }),
  });
  equal(response.status, 202);
  const at = performance.now();
  const { events } = await response.json();
  return { sequence: parseEventId(events[0].id)!.sequence, at };
}

/** Latency of the last event to arrive in each burst, in milliseconds; infinite if it is missing. */
async function measure(
  { programs, subscribers }: Deployment,
  bursts: number,
  random: SeededRandom,
): Promise<number[]> {
  const listeners: Listener[] = [];
  for (const program of programs) {
    for (let i = 0; i < subscribers; i++) listeners.push(await Listener.open(program));
  }
  const latest: number[] = [];
  for (let burst = 0; burst < bursts; burst++) {
    const accepted = (await Promise.all(Array.from({ length: PUBLISHERS }, async (_, publisher) => {
      const answers = [];
      for (let i = 0; i < EVENTS / PUBLISHERS; i++) {
        const { url } = programs[(publisher + i) % programs.length]!;
        // Commits that arrive one by one are read one by one; in a burst they overlap.
        await pause(random.integer(0, MAX_GAP_MS));
        answers.push(await publish(url, burst));
      }
      return answers;
    }))).flat();
    const sequences = accepted.map(({ sequence }) => sequence);
    const until = performance.now() + PATIENCE_MS;
    await Promise.all(listeners.map((listener) => listener.wait(sequences, until)));
    latest.push(
      Math.max(
        ...listeners.flatMap(({ arrivals }) =>
          accepted.map(({ sequence, at }) => (arrivals.get(sequence) ?? Infinity) - at)
        ),
      ),
    );
    // The next event reveals missing ones, so that each burst is judged alone.
    if (latest.at(-1) === Infinity) {
      const { sequence } = await publish(programs[0]!.url, burst);
      const again = performance.now() + PATIENCE_MS;
      await Promise.all(listeners.map((listener) => listener.wait([sequence], again)));
    }
    for (const { arrivals } of listeners) arrivals.clear();
    await pause(random.integer(0, MAX_PAUSE_MS));
  }
  for (const listener of listeners) await listener.close();
  return latest;
}

/** Functions that start the services under test from a seed, by name. */
const DEPLOYMENTS: Record<string, (seed: number) => Promise<Deployment>> = {
  "2 processes": () => startProcesses(2),
  "3 processes": () => startProcesses(3),
  "3 isolates": () => startIsolates(),
  "3 lossy isolates": (seed) => startIsolates(`./chaotic_isolate.ts?seed=${seed}&fates=lost`),
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function run(seed: number, bursts: number, names: readonly string[]): Promise<boolean> {
  let isInTime = true;
  for (const name of names) {
    const start = DEPLOYMENTS[name];
    if (!start) throw new Error(`There is no deployment "${name}"`);
    await using deployment = await start(seed);
    const latest = await measure(deployment, bursts, new SeededRandom(seed));
    latest.sort((a, b) => a - b);
    const at = (share: number) => latest[Math.floor(latest.length * share)]!.toFixed(1);
    const late = latest.filter((ms) => ms > MAX_LATENESS_MS).length;
    const missing = latest.filter((ms) => ms === Infinity).length;
    console.log(
      `${name}: latest arrival of ${bursts} bursts p50 ${at(0.5)}, p99 ${at(0.99)}, ` +
        `max ${latest.at(-1)!.toFixed(1)} ms; later than ${MAX_LATENESS_MS} ms: ${late}, ` +
        `missing after ${PATIENCE_MS} ms: ${missing}`,
    );
    isInTime &&= late === 0;
  }
  return isInTime;
}

if (import.meta.main) {
  const values = readOptions("test:bursts", {
    seed: String(Math.floor(Math.random() * 1e9)),
    bursts: "100",
    deployments: Object.keys(DEPLOYMENTS).join(),
  });
  if (!denoKv.isInstalled) {
    console.error(`Cannot run: it needs a KV server. Install it with: ${denoKv.install}`);
    Deno.exit(1);
  }
  console.log(`deno task test:bursts --seed ${values.seed} --bursts ${values.bursts}`);
  if (!await run(Number(values.seed), Number(values.bursts), values.deployments.split(","))) {
    Deno.exit(1);
  }
}
