/**
 * Reads streams by event-stream clients of other authors, through restarts, drains,
 * stalls and cut connections, and fails if one of them loses or repeats an event.
 *
 * Run it with `deno task test:clients`, with `--seed 7`, or for some libraries only,
 * such as `--only httpx-sse,r3labs/sse`. The first run installs the libraries.
 *
 * @module
 */

import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { publishEvent } from "../support/clients/publisher.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { DataFolder, type Environment, Program } from "../support/programs/program.ts";
import { eventually } from "../support/wait.ts";
import { ClientProgram } from "./client_program.ts";
import { CuttingProxy } from "./cutting_proxy.ts";
import { LIBRARIES, type Library, prepare } from "./libraries.ts";

const values = readOptions("test:clients", { seed: "1", only: "" });

/** Number of events of a scenario. */
const EVENTS = 60;

/** Maximum number of connections that are cut in a scenario. */
const MAX_CUTS = 20;

/** Text that clients cut or change if they do not follow the standard. */
const AWKWARD = "a\u0085b\u2028c\u2029d\u00a0é😀";

/** A channel that events are published to, and its events on a stream. */
interface Target {
  pipeline: string;
  channel: string;
  /** Type of the events. */
  type: string;
}

/** The only channel of a stream of one pipeline. */
const SINGLE: readonly Target[] = [{ pipeline: "p_a", channel: "events", type: "events" }];

/** The channels of a stream of two pipelines. */
const JOINED: readonly Target[] = [
  { pipeline: "p_a", channel: "events", type: "p_a/events" },
  { pipeline: "p_b", channel: "a/b c", type: "p_b/a/b c" },
];

/** A service that can be restarted, and one client of it. */
class Trial implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #settings: Environment;
  readonly random: SeededRandom;
  #program!: Program;
  client!: ClientProgram;
  readonly #targets: readonly Target[];
  #published = 0;

  private constructor(seed: number, targets: readonly Target[]) {
    this.#targets = targets;
    this.random = new SeededRandom(seed);
    const folder = this.#stack.use(new DataFolder());
    this.#settings = { RUNNEL_KV: folder.kv, RUNNEL_RETRY_MS: "20", RUNNEL_KEEPALIVE_MS: "100" };
  }

  /** Starts a service with some history, and a client of it. */
  static async start(
    command: string[],
    library: Library,
    { seed, query = "", cut = false, joined = false }: {
      seed: number;
      query?: string;
      cut?: boolean;
      joined?: boolean;
    },
  ): Promise<Trial> {
    const trial = new Trial(seed, joined ? JOINED : SINGLE);
    try {
      trial.#program = await Program.start(trial.#settings);
      let { url } = trial.#program;
      if (cut) {
        let connections = 0;
        const proxy = trial.#stack.use(
          new CuttingProxy(Number(new URL(url).port), () => {
            if (++connections > MAX_CUTS) return null;
            return { bytes: trial.random.integer(150, 1500), behindId: connections % 3 === 0 };
          }),
        );
        url = proxy.url;
      }
      await trial.publish(3);
      const path = joined ? "/sse?pipeline=p_a&pipeline=p_b" : "/pipelines/p_a/sse";
      const stream = url + path + query;
      trial.client = trial.#stack.use(new ClientProgram(command, library.name, stream));
      await trial.receiveAll({ mayRepeat: library.takesCutIds });
      return trial;
    } catch (error) {
      await trial[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Publishes events, each with its number. A publish is repeated until it is accepted. */
  async publish(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const number = ++this.#published;
      const { pipeline, channel } = this.#targets[number % this.#targets.length]!;
      const payload = { number, text: AWKWARD };
      await eventually(`event ${number} is accepted`, async () => {
        const headers = { "Idempotency-Key": `event-${number}` };
        try {
          const event = { pipeline, channel, payload };
          return (await publishEvent(this.#program, event, headers)).status === 202;
        } catch (error) {
          if (error instanceof TypeError) return false;
          throw error;
        }
      });
    }
  }

  /** Publishes to a channel that the client may not read. */
  async publishElsewhere(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const response = await fetch(`${this.#program.url}/ingest/p_a/other`, {
        method: "POST",
        body: "other",
      });
      await response.body?.cancel();
    }
  }

  /** Waits until the client has the newest events, and asserts that it has each once, in order. */
  async receiveAll({ mayRepeat = false } = {}): Promise<void> {
    const published = Array.from({ length: this.#published }, (_, index) => index + 1);
    for (const [index, { type }] of this.#targets.entries()) {
      const expected = published.filter((number) => number % this.#targets.length === index)
        .map((number) => ({ number, text: AWKWARD }));
      await this.client.receive(type, expected.at(-1));
      const payloads = this.client.payloads(type);
      deepEqual(
        mayRepeat
          ? [...new Map(payloads.map((payload) => [JSON.stringify(payload), payload])).values()]
          : payloads,
        expected,
      );
    }
  }

  /** Ends the service by a signal, and starts it again at the same port. */
  async restart(signal: Deno.Signal): Promise<void> {
    const { port } = new URL(this.#program.url);
    this.#program.kill(signal);
    await this.#program.exit();
    await this.#program[Symbol.asyncDispose]();
    this.#program = await Program.start({ ...this.#settings, PORT: port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
    await this.#stack.disposeAsync();
  }
}

type Scenario = (command: string[], library: Library, seed: number) => Promise<void>;

const SCENARIOS: Record<string, Scenario> = {
  async "history, live"(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed });
    await trial.publish(EVENTS);
    await trial.receiveAll();
  },
  async kill(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed });
    for (let i = 0; i < 3; i++) {
      await trial.publish(EVENTS / 3);
      await trial.restart("SIGKILL");
    }
    await trial.publish(1);
    await trial.receiveAll();
  },
  async drain(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed });
    for (let i = 0; i < 3; i++) {
      await trial.publish(EVENTS / 3);
      await trial.restart("SIGTERM");
    }
    await trial.publish(1);
    await trial.receiveAll();
  },
  async idle(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed, query: "?channel=events" });
    for (let i = 0; i < 5; i++) {
      await trial.publishElsewhere(5);
      // Keep-alives, which carry an ID where events were passed over.
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    await trial.restart("SIGTERM");
    await trial.publish(1);
    await trial.receiveAll();
    const empty = trial.client.events.filter(({ data }) => data === "");
    if (!library.deliversIds) deepEqual(empty, []);
  },
  async stall(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed });
    trial.client.kill("SIGSTOP");
    await trial.publish(EVENTS);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    trial.client.kill("SIGCONT");
    await trial.publish(1);
    await trial.receiveAll();
  },
  async cut(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed, cut: true });
    await trial.publish(EVENTS);
    await trial.receiveAll({ mayRepeat: library.takesCutIds });
  },
};

/** Scenarios with a stream of two pipelines. */
const JOINED_SCENARIOS: Record<string, Scenario> = {
  async "joined kill"(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed, joined: true });
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await trial.publish(EVENTS / 2);
      await trial.restart(signal);
    }
    await trial.publish(2);
    await trial.receiveAll();
  },
  async "joined cut"(command, library, seed) {
    await using trial = await Trial.start(command, library, { seed, cut: true, joined: true });
    await trial.publish(EVENTS);
    await trial.receiveAll({ mayRepeat: library.takesCutIds });
  },
};

const only = values.only.split(",").filter((name) => name);
const libraries = LIBRARIES.filter(({ name }) => only.length === 0 || only.includes(name));
let failures = 0;

/** Runs all scenarios of the libraries of a language, one after the other. */
async function tryAll(language: string, group: readonly Library[]): Promise<void> {
  const command = await prepare(language);
  if (!command) return;
  for (const library of group) {
    const results: string[] = [];
    for (const [name, run] of Object.entries({ ...SCENARIOS, ...JOINED_SCENARIOS })) {
      try {
        await run(command, library, Number(values.seed));
        results.push(`${name} ok`);
      } catch (error) {
        failures++;
        results.push(`${name} FAILED`);
        console.error(`${library.name}: ${name}:`, error);
      }
    }
    console.log(`${library.name} (${language}): ${results.join(", ")}`);
  }
}
const languages = Map.groupBy(libraries, ({ language }) => language);
await Promise.all([...languages].map(([language, group]) => tryAll(language, group)));
if (failures > 0) Deno.exit(1);
