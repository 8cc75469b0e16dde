/**
 * {@linkcode serveService} in real time, under the name that the tests of the
 * pages use.
 *
 * @module
 */

import { type Clock, systemClock } from "../../../lib/base/clock.ts";
import type { Settings } from "../../../lib/config/config.ts";
import { type ServedTestService, serveService } from "./serve_service.ts";

/** A service that a test disposes of. */
export class ServedService implements AsyncDisposable {
  readonly #service: ServedTestService<Clock>;

  private constructor(service: ServedTestService<Clock>) {
    this.#service = service;
  }

  /** Starts a service on a log in memory. */
  static async start(settings: Settings = {}): Promise<ServedService> {
    return new ServedService(
      await serveService({ settings, clock: systemClock, random: Math.random }),
    );
  }

  /** Address of the service. */
  get url(): string {
    return this.#service.url;
  }

  /** Statistics of the hub, and number of probes. */
  get stats(): ServedTestService["hub"]["stats"] & { probes: number } {
    return { ...this.#service.hub.stats, probes: this.#service.probes.size };
  }

  /** Publishes one event with a JSON payload and returns its ID. */
  publish(pipeline: string, channel: string, payload: unknown): Promise<string> {
    return this.#service.publish(pipeline, channel, payload);
  }

  /** Cuts all connections, and serves again at the same address after `meanwhile`. */
  cut(meanwhile: () => Promise<unknown>): Promise<void> {
    return this.#service.cut(meanwhile);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
  }
}
