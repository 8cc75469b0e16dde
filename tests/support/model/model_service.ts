/**
 * A service that a model restarts on the same file, while time passes.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import type { Settings } from "../../../lib/config/config.ts";
import { FakeClock } from "../fakes/clock.ts";
import type { SeededRandom } from "../generators/random.ts";
import { startService, type TestService } from "../service.ts";
import type { StoredEvents } from "./stored_events.ts";

/** Options for {@linkcode ModelService.start}. */
export interface ModelServiceOptions {
  random: SeededRandom;
  /** Path of the file. */
  path: string;
  settings: Settings;
  /** Notes what is stored. */
  stored: StoredEvents;
}

/** The service of a model. */
export class ModelService {
  readonly clock = new FakeClock();
  readonly #options: ModelServiceOptions;
  #service!: TestService;

  private constructor(options: ModelServiceOptions) {
    this.#options = options;
  }

  static async start(options: ModelServiceOptions): Promise<ModelService> {
    const model = new ModelService(options);
    await model.#start();
    return model;
  }

  /** The service that runs now. */
  get now(): TestService {
    return this.#service;
  }

  async #start(): Promise<void> {
    const { random, path, settings, stored } = this.#options;
    this.#service = await startService({
      clock: this.clock,
      random: random.next,
      open: async () => stored.observe(await Deno.openKv(path)),
      settings,
    });
  }

  /** Drains the service, and starts another one. */
  async restart(): Promise<void> {
    const old = this.#service;
    await old[Symbol.asyncDispose]();
    await this.#start();
  }

  /** Lets others work, and a millisecond pass. */
  async breathe(): Promise<void> {
    this.clock.advance(1);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  /**
   * Restarts the service, clears a pipeline, and lets the clock jump, until it is over.
   *
   * @param onClear Called before each clear.
   */
  async disturb(pipeline: string, over: () => boolean, onClear: () => void): Promise<void> {
    const { random } = this.#options;
    while (!over()) {
      for (let i = 0; i < 20 && !over(); i++) await this.breathe();
      const choice = random.integer(1, 10);
      if (choice <= 1) await this.restart();
      else if (choice <= 2) {
        onClear();
        await this.now.hub.clear(pipeline).catch(() => {});
      } else if (choice <= 6) this.clock.advance(random.integer(1, 120_000));
    }
  }

  /** Ends the service, and asserts that nothing is left in it. */
  async end(): Promise<void> {
    const { hub, log, reports } = this.#service;
    equal(hub.stats.subscribers, 0);
    equal(hub.stats.pipelines, 0);
    equal(hub.stats.appends, 0);
    equal(log.pending.waitingBytes, 0);
    await this.#service[Symbol.asyncDispose]();
    // The clock jumps past deadlines; no other error is expected.
    equal(reports.filter((line) => !/did not answer within/.test(line)).join("\n"), "");
  }
}
