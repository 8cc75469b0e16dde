/**
 * A service of this process on a real port and in real time, for clients that
 * cannot be handed a clock.
 *
 * @module
 */

import { readConfig, type Settings } from "../../../lib/config/config.ts";
import { createService, type Service } from "../../../lib/service/service.ts";
import { drain } from "../drain.ts";
import { jsonPost } from "../service.ts";
import { type LocalServer, serveLocally } from "./local_server.ts";

/** A service that a test disposes of. */
export class ServedService implements AsyncDisposable {
  readonly #service: Service;
  #server: LocalServer;

  private constructor(service: Service) {
    this.#service = service;
    this.#server = serveLocally(service.fetch);
  }

  /** Starts it on a log in memory. */
  static async start(settings: Settings = {}): Promise<ServedService> {
    return new ServedService(
      await createService({
        config: readConfig(settings),
        open: () => Deno.openKv(":memory:"),
      }),
    );
  }

  /** Its address. */
  get url(): string {
    return this.#server.url;
  }

  /** What is held in it. */
  get stats(): Service["hub"]["stats"] & { probes: number } {
    return { ...this.#service.hub.stats, probes: this.#service.probes.size };
  }

  /** Publishes one event with a JSON payload and returns its ID. */
  async publish(pipeline: string, channel: string, payload: unknown): Promise<string> {
    const response = await this.#service.fetch(jsonPost("/ingest", { pipeline, channel, payload }));
    if (response.status !== 202) throw new Error(await response.text());
    return (await response.json()).events[0].id;
  }

  /** Cuts all connections, and serves again at the same address after something happened. */
  async cut(meanwhile: () => Promise<unknown>): Promise<void> {
    const { port } = this.#server;
    await this.#server[Symbol.asyncDispose]();
    await meanwhile();
    this.#server = serveLocally(this.#service.fetch, port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await drain(this.#service.hub);
    await this.#server[Symbol.asyncDispose]();
    await this.#service.log.close();
  }
}
