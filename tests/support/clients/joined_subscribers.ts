/**
 * Subscribers of several pipelines that come back through all failures of their instances:
 * by requests of their own, in all modes, and by the client of this project.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { subscribe } from "../../../lib/client/mod.ts";
import type { ClientEvent } from "../../../lib/client/event_types.ts";
import type { ClientClock } from "../../../lib/client/subscribe_options.ts";
import type { Subscription } from "../../../lib/client/subscription.ts";
import { parseJoinedId, splitEventIds } from "../../../lib/protocol/event.ts";
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

/** Options for {@linkcode JoinedSubscriber}. */
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

/** Options for {@linkcode ClientSubscriber}. */
export interface ClientSubscriberOptions {
  random: SeededRandom;
  pipelines: readonly string[];
  /** Channels that it requests; all if empty. */
  channels: readonly string[];
  /** Default history of the service. @default {100} */
  history?: number;
  /** Requests a path of the service with its query. */
  fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Clock of the client. The default is that of the platform. */
  clock?: ClientClock;
  /** Waits before a client whose runs have ended subscribes again. */
  pause: () => Promise<void>;
}

/** A subscriber by `subscribe()` of the client, which comes back by itself. */
export class ClientSubscriber {
  readonly #options: ClientSubscriberOptions;
  readonly #record: JoinedRecord;
  readonly #over = new AbortController();
  #lastEventId = "";
  #subscription: Subscription | null = null;
  /** Number of connections that it opened. */
  connections = 0;

  constructor(options: ClientSubscriberOptions) {
    this.#options = options;
    this.#record = new JoinedRecord(options.channels);
  }

  /** Subscribes until it is told to end. When all runs have ended, it subscribes again. */
  async listen(): Promise<void> {
    const { pipelines, channels, random, clock, pause } = this.#options;
    const { signal } = this.#over;
    while (!signal.aborted) {
      this.#subscription = subscribe("http://localhost", {
        pipelines,
        channels,
        lastEventId: this.#lastEventId,
        random: random.next,
        clock,
        signal,
        fetch: (url, init) => this.#fetch(new URL(String(url)), init),
      });
      for await (const event of this.#subscription) this.#record.take(itemOf(event));
      this.#lastEventId = this.#subscription.lastEventId;
      await pause();
    }
  }

  async #fetch({ pathname, search, searchParams }: URL, init: RequestInit = {}): Promise<Response> {
    const { pipelines, history = HISTORY, fetch } = this.#options;
    const lastEventId = new Headers(init.headers).get("Last-Event-ID") ?? "";
    const response = await fetch(pathname + search, init);
    if (response.ok) {
      this.connections++;
      const omitsMarkers = searchParams.has("wait");
      const isOver = response.status === 204;
      this.#record.open({ pipelines, lastEventId, history, omitsMarkers, isOver });
    }
    return response;
  }

  /** Returns whether its position is after all events of some logs. */
  hasAll(logs: ReadonlyMap<string, PipelineLogs>): boolean {
    const { lastEventId } = this.#subscription!;
    const parts = lastEventId === "" ? [] : splitEventIds(lastEventId);
    const positions = parts.map((part) => parseJoinedId(part)?.position);
    return this.#options.pipelines.every((pipeline) => {
      const { logs: byEpoch, epochs } = logs.get(pipeline)!;
      const epoch = [...epochs].at(-1)!;
      const { length } = byEpoch.get(epoch) ?? [];
      return positions.some((position) => position?.epoch === epoch && position.sequence >= length);
    });
  }

  /** Ends its subscription. */
  end(): void {
    this.#over.abort();
  }

  /** Checks what it received. */
  verify(logs: ReadonlyMap<string, PipelineLogs>): JoinedSums {
    return this.#record.verify(logs, this.#options.pipelines);
  }
}

/** Returns an event of the client as it is on a stream. */
function itemOf(event: ClientEvent) {
  const { type, pipeline, id } = event;
  if (type === "event") return { id, type: `${pipeline}/${event.channel}`, data: event.data };
  const { type: _type, id: _id, ...data } = event;
  return { id, type: `runnel.${type}`, data: JSON.stringify(data) };
}
