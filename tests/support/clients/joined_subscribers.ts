/**
 * Subscribers of several pipelines that come back through all failures of their instances:
 * by requests of their own, in all modes, and by the client of this project.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { subscribe } from "../../../lib/client/mod.ts";
import type { ClientEvent } from "../../../lib/client/types.ts";
import type { SeededRandom } from "../generators/random.ts";
import { JoinedReader } from "./joined_reader.ts";
import { JoinedRecord, type JoinedSums, type PipelineLogs } from "./joined_record.ts";
import type { LoadContext } from "./load.ts";

/** Default history of a program. */
const HISTORY = 100;

/** Maximum pause before a client comes back, in milliseconds. */
const RETRY_MS = 200;

/** Time for which a client reads a stream in the end, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Options for {@linkcode JoinedSubscriber} and {@linkcode ClientSubscriber}. */
export interface JoinedSubscriberOptions {
  service: LoadContext;
  random: SeededRandom;
  pipelines: readonly string[];
  /** Channels that it requests; all if empty. */
  channels: readonly string[];
}

/** A subscriber that chooses the mode of each connection anew, and may break it at any byte. */
export class JoinedSubscriber {
  readonly #options: JoinedSubscriberOptions;
  readonly #record: JoinedRecord;
  /** Number of connections that it opened, of each kind. */
  readonly connections = { streams: 0, polls: 0, lines: 0, cuts: 0 };

  constructor(options: JoinedSubscriberOptions) {
    this.#options = options;
    this.#record = new JoinedRecord(options.channels);
  }

  /** Subscribes until it is time to stop. */
  async listen(): Promise<void> {
    const { service, random, pipelines } = this.#options;
    while (!service.isOver()) {
      const order = random.shuffled(pipelines);
      // Sometimes without some of them, which begin with their history then.
      const some = random.chance(0.9) ? order : order.slice(0, random.integer(1, order.length));
      await this.#connect(some, random.integer(500, 10_000));
      await service.pause(random.integer(0, RETRY_MS));
    }
  }

  /** Reads the remaining events, and checks all received events. */
  async verify(logs: ReadonlyMap<string, PipelineLogs>): Promise<JoinedSums> {
    const { pipelines } = this.#options;
    while (!await this.#connect(pipelines, PATIENCE_MS, "0"));
    return this.#record.verify(logs, pipelines);
  }

  /**
   * Reads a stream until it ends or breaks, or the time is over.
   *
   * @param wait Time of a poll, in seconds. By default, it chooses whether to poll.
   * @returns Whether it has ended by itself.
   */
  async #connect(pipelines: readonly string[], ms: number, wait?: string): Promise<boolean> {
    const { service, random } = this.#options;
    const { lastEventId, channels } = this.#record;
    const isFinal = wait !== undefined;
    const isLines = random.chance(0.3);
    if (!isFinal && random.chance(0.4)) wait = random.pick(["0", "1", "5"]);
    const query = new URLSearchParams([
      ...pipelines.map((pipeline) => ["pipeline", pipeline]),
      ...channels.map((channel) => ["channel", channel]),
      ...wait === undefined ? [] : [["wait", wait]],
    ]);
    const headers = {
      Accept: isLines ? "application/x-ndjson" : "text/event-stream",
      "Last-Event-ID": lastEventId,
    };
    let timer;
    try {
      const response = await fetch(`${service.pick(random)}/sse?${query}`, { headers });
      if (response.status !== 200) {
        // An EventSource gets a stream that ends at once instead.
        ok(isLines && response.status === 503, `${response.status}`);
        await response.body!.cancel();
        return false;
      }
      const maxBytes = !isFinal && random.chance(0.3) ? random.integer(0, 20_000) : Infinity;
      const reader = new JoinedReader(response.body!, { isLines, maxBytes, pipeline: null });
      timer = setTimeout(() => reader.cancel(), ms);
      let isOpen = false;
      for (let item; (item = await reader.next());) {
        if (!isOpen) this.#record.open({ pipelines, lastEventId, history: HISTORY });
        isOpen = true;
        this.#record.take(item);
      }
      this.connections[wait === undefined ? "streams" : "polls"]++;
      if (isLines) this.connections.lines++;
      if (maxBytes < Infinity && reader.isCut) this.connections.cuts++;
      const hasEnded = isOpen && !reader.isCut;
      await reader.cancel();
      return hasEnded;
    } catch (error) {
      // No instance is listening, or it was killed.
      if (!(error instanceof TypeError)) throw error;
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A subscriber by `subscribe()` of the client, which comes back by itself. */
export class ClientSubscriber {
  readonly #options: JoinedSubscriberOptions;
  readonly #record: JoinedRecord;
  readonly #over = new AbortController();
  /** Number of connections that it opened. */
  connections = 0;

  constructor(options: JoinedSubscriberOptions) {
    this.#options = options;
    this.#record = new JoinedRecord(options.channels);
  }

  /** Subscribes until all of some logs have arrived. */
  async listen(): Promise<void> {
    const { pipelines, channels, random } = this.#options;
    const subscription = subscribe("http://localhost", {
      pipelines,
      channels,
      random: random.next,
      signal: this.#over.signal,
      fetch: (url, init) => this.#fetch(new URL(String(url)), init),
    });
    for await (const event of subscription) this.#record.take(itemOf(event));
  }

  async #fetch(url: URL, init: RequestInit = {}): Promise<Response> {
    const { service, random, pipelines } = this.#options;
    const lastEventId = new Headers(init.headers).get("Last-Event-ID") ?? "";
    const target = service.pick(random) + url.pathname + url.search;
    const response = await fetch(target, init);
    this.connections++;
    const omitsMarkers = url.searchParams.has("wait");
    this.#record.open({ pipelines, lastEventId, history: HISTORY, omitsMarkers });
    return response;
  }

  /** Waits until the client has all that some logs have, ends it, and checks what it received. */
  async verify(logs: ReadonlyMap<string, PipelineLogs>): Promise<JoinedSums> {
    const { service, pipelines } = this.#options;
    for (let ms = 0; ms < PATIENCE_MS && !this.#record.hasAll(logs, pipelines); ms += 50) {
      await service.pause(50);
    }
    this.#over.abort();
    return this.#record.verify(logs, pipelines);
  }
}

/** Returns an event of the client as it is on a stream. */
function itemOf(event: ClientEvent) {
  const { type, pipeline, id } = event;
  if (type === "event") return { id, type: `${pipeline}/${event.channel}`, data: event.data };
  const { type: _type, id: _id, ...data } = event;
  return { id, type: `runnel.${type}`, data: JSON.stringify(data) };
}
