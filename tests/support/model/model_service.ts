/**
 * A service that a model restarts on the same file, while time passes; or several on one file.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import type { Settings } from "../../../lib/config/config.ts";
import type { Kv } from "../../../lib/kv/kv_connection.ts";
import { PipelineChannels } from "../../../lib/sync/pipeline_channels.ts";
import type { FakeChannels } from "../fakes/broadcast.ts";
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
  /** Notes what is stored: of one pipeline, or of several. */
  stored: StoredEvents | readonly StoredEvents[];
  /** Number of services on the file. @default {1} */
  instances?: number;
  /** Broadcast channels between them. By default, none learns of the commits of another. */
  channels?: FakeChannels;
}

/** Maximum time that commits may take once all is over, in milliseconds. */
const MAX_BREATHS = 1000;

/** Maximum time that the end of a model may take, in milliseconds. */
const MAX_MS = 60_000;

/** The service of a model. */
export class ModelService {
  readonly clock = new FakeClock();
  readonly #options: ModelServiceOptions;
  readonly #services: TestService[] = [];
  /** Number of restarts that were begun. */
  restarts = 0;
  /** Number of clears that were begun. */
  #clears = 0;

  private constructor(options: ModelServiceOptions) {
    this.#options = options;
  }

  static async start(options: ModelServiceOptions): Promise<ModelService> {
    const model = new ModelService(options);
    for (let index = 0; index < (options.instances ?? 1); index++) await model.#start(index);
    return model;
  }

  /** A service that runs now: any one of several. */
  get now(): TestService {
    return this.#services[this.#pick()]!;
  }

  /** Returns the index of any service. */
  #pick(): number {
    const { length } = this.#services;
    return length === 1 ? 0 : this.#options.random.integer(0, length - 1);
  }

  async #start(index: number): Promise<void> {
    const { random, path, settings, stored, channels } = this.#options;
    const report = (message: string) => void this.#services[index]?.reports.push(message);
    this.#services[index] = await startService({
      clock: this.clock,
      random: random.next,
      open: async () =>
        [stored].flat().reduce<Kv>(
          (kv, stored) => stored.observe(kv, random),
          await Deno.openKv(path),
        ),
      settings,
      channels: channels ? new PipelineChannels(channels.Channel, { report }) : null,
    });
  }

  /** Drains a service, and starts another one. */
  async restart(): Promise<void> {
    this.restarts++;
    const index = this.#pick();
    await this.#services[index]![Symbol.asyncDispose]();
    await this.#start(index);
  }

  /**
   * Lets time pass until some work is done, and returns its result: what is slow is tried again
   * after a pause. Without time, it would wait for ever.
   */
  async whileTimePasses<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => done = true);
    ended.catch(() => {});
    for (let i = 0; i < MAX_MS && !done; i++) await this.breathe();
    ok(done, `it is done after ${MAX_MS / 1000} seconds`);
    return await ended;
  }

  /** Lets others work, and a millisecond pass. */
  async breathe(): Promise<void> {
    this.clock.advance(1);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  /**
   * Restarts services, clears pipelines, and lets the clock jump, until it is over.
   *
   * @param pipelines The pipeline, or several.
   * @param onClear Called before each clear, with the pipeline.
   */
  async disturb(
    pipelines: string | readonly string[],
    over: () => boolean,
    onClear: (pipeline: string) => void,
  ): Promise<void> {
    const { random } = this.#options;
    while (!over()) {
      for (let i = 0; i < 20 && !over(); i++) await this.breathe();
      const choice = random.integer(1, 10);
      if (choice <= 1) await this.restart();
      else if (choice <= 2) {
        const pipeline = typeof pipelines === "string" ? pipelines : random.pick(pipelines);
        onClear(pipeline);
        this.#clears++;
        await this.now.hub.clear(pipeline).catch(() => {});
      } else if (choice <= 6) this.clock.advance(random.integer(1, 120_000));
    }
  }

  /** Ends the service, and asserts that nothing is left in it. */
  async end(): Promise<void> {
    await this.whileTimePasses(this.#end());
  }

  async #end(): Promise<void> {
    const expected = this.#expectedReports();
    for (const service of this.#services) {
      const { hub, log, reports } = service;
      // A commit whose publisher was told that its outcome is unknown, which is looked up again
      // after pauses.
      for (let i = 0; i < MAX_BREATHS && log.pending.waitingBytes > 0; i++) {
        this.clock.advance(50);
        await this.breathe();
      }
      equal(hub.stats.subscribers, 0);
      equal(hub.stats.pipelines, 0);
      equal(hub.stats.appends, 0);
      equal(log.pending.waitingBytes, 0);
      await service[Symbol.asyncDispose]();
      equal(reports.filter((line) => !expected.test(line)).join("\n"), "");
    }
    for (const stored of [this.#options.stored].flat()) await stored.noted();
  }

  /** Returns a pattern of the reports that are no fault. */
  #expectedReports(): RegExp {
    // The clock jumps past deadlines, also of commits that wait for others.
    const expected = ["did not answer within", "The store was busy until the deadline"];
    // Services lock the file for each other.
    if (this.#services.length > 1) expected.push("database is locked");
    // One of these came before a commit, and the clock jumped before it was tried again.
    if (this.#services.length > 1 || this.#clears > 0) {
      expected.push("Other writers, or a clear, were faster");
    }
    return new RegExp(expected.join("|"));
  }
}
