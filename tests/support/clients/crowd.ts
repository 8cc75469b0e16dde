/**
 * A crowd that uses many pipelines at once, for one round: subscribers that join and leave,
 * publishers, readers that stall, and pipelines that are created and deleted.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { parseEventId } from "../../../lib/protocol/event.ts";
import type { SeededRandom } from "../generators/random.ts";
import { StreamReader } from "./stream_reader.ts";

/** Pipeline whose readers stall, and the size of its events, in bytes. */
const LOUD_PIPELINE = "p_loud";
const LOUD_BYTES = 30_000;
const LOUD_EVERY_MS = 50;

/** Pause before a request is repeated, in milliseconds. */
const RETRY_MS = 100;

/** Number of requests after which it is not repeated: for ten seconds. */
const MAX_TRIES = 100;

/** Numbers of clients by kind. */
export interface CrowdSize {
  /** Subscribers that join and leave. */
  subscribers: number;
  /** Pipelines that they subscribe to. */
  pipelines: number;
  /** Publishers to these pipelines. */
  publishers: number;
  /** Readers that stall. */
  stalled: number;
  /** Pipelines that are created, used and deleted. */
  brief: number;
}

/** Options for {@linkcode Crowd}. */
export interface CrowdOptions extends CrowdSize {
  /** Returns the address of the service. */
  url: () => string;
  /** Returns whether a restart may break connections now. */
  mayBreak: () => boolean;
  /** Random choices. */
  random: SeededRandom;
  /** Number of the round, for pipelines of its own. */
  round: number;
}

/** Numbers of what a crowd did. */
export interface CrowdSums {
  joined: number;
  published: number;
  /** Publishes that were answered 503. */
  refused: number;
  delivered: number;
  deleted: number;
}

/** A crowd, for one round. */
export class Crowd {
  readonly #options: CrowdOptions;
  readonly #client = Deno.createHttpClient({});
  readonly #sums: CrowdSums = { joined: 0, published: 0, refused: 0, delivered: 0, deleted: 0 };
  /** Ends all pauses when the round is over. */
  readonly #end = Promise.withResolvers<void>();
  readonly #readers = new Set<StreamReader>();
  #isOver = false;

  constructor(options: CrowdOptions) {
    this.#options = options;
  }

  /** Uses the service for a time in milliseconds, then leaves with all connections. */
  async run(ms: number): Promise<CrowdSums> {
    const { subscribers, publishers, brief, stalled } = this.#options;
    const times = (count: number, use: (index: number) => Promise<void>) =>
      Array.from({ length: count }, (_, index) => use(index));
    const timer = setTimeout(() => this.#leave(), ms);
    try {
      await Promise.all([
        ...times(subscribers, () => this.#subscribe()),
        ...times(publishers, () => this.#publish()),
        ...times(brief, (index) => this.#useBriefly(index)),
        ...times(stalled, () => this.#stall()),
        ...stalled > 0 ? [this.#publishLoudly()] : [],
      ]);
    } finally {
      clearTimeout(timer);
      this.#leave();
      // Without it, idle connections would stay for a minute and a half.
      this.#client.close();
    }
    return this.#sums;
  }

  #leave(): void {
    this.#isOver = true;
    this.#end.resolve();
    for (const reader of this.#readers) void reader.cancel().catch(() => {});
  }

  async #subscribe(): Promise<void> {
    const { random } = this.#options;
    while (!this.#isOver) {
      await this.#pause(random.integer(0, 1000));
      if (this.#isOver) return;
      await this.#read(this.#pipeline(), random.integer(200, 5000));
    }
  }

  /** Reads a stream for a time, and checks its order. */
  async #read(pipeline: string, ms: number): Promise<void> {
    const headers = { Accept: "text/event-stream" };
    const answer = await this.#fetch(`/pipelines/${pipeline}/sse`, { headers });
    if (!answer) return;
    equal(answer.status, 200, "an EventSource never comes back from an error");
    const reader = new StreamReader(answer);
    this.#readers.add(reader);
    const timer = setTimeout(() => void reader.cancel().catch(() => {}), ms);
    this.#sums.joined++;
    let last = 0;
    try {
      if (this.#isOver) return await reader.cancel();
      for (let event; (event = await reader.event());) {
        const { sequence } = parseEventId(event.id!)!;
        if (event.type.startsWith("runnel.")) continue;
        ok(last === 0 || sequence === last + 1, `${pipeline}: ${sequence} follows ${last}`);
        last = sequence;
        this.#sums.delivered++;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      ok(this.#options.mayBreak(), "a stream broke without a restart");
    } finally {
      clearTimeout(timer);
      this.#readers.delete(reader);
    }
  }

  async #publish(): Promise<void> {
    const { random } = this.#options;
    while (!this.#isOver) {
      const pipeline = this.#pipeline();
      const events = Array.from({ length: random.integer(1, 5) }, () => ({
        pipeline,
        channel: "events",
        payload: "x".repeat(random.integer(10, 2000)),
      }));
      await this.#send(JSON.stringify(events), events.length);
      await this.#pause(random.integer(0, 40));
    }
  }

  async #publishLoudly(): Promise<void> {
    const payload = "x".repeat(LOUD_BYTES);
    const event = JSON.stringify({ pipeline: LOUD_PIPELINE, channel: "events", payload });
    while (!this.#isOver) {
      await this.#send(event, 1);
      await this.#pause(LOUD_EVERY_MS);
    }
  }

  /** Creates a pipeline, reads what is published to it, and deletes it. */
  async #useBriefly(index: number): Promise<void> {
    const pipeline = `p_brief_${this.#options.round}_${index}`;
    const reading = this.#read(pipeline, 1e9);
    for (let number = 0; number < 5; number++) {
      await this.#send(JSON.stringify({ pipeline, channel: "events", payload: { number } }), 1);
    }
    await this.#end.promise;
    await reading;
    for (let tries = 0; !await this.#delete(pipeline); tries++) {
      ok(tries < MAX_TRIES, "a pipeline can be deleted");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    this.#sums.deleted++;
  }

  /** Deletes a pipeline; returns false if that is refused or interrupted. */
  async #delete(pipeline: string): Promise<boolean> {
    const answer = await this.#fetch(`/pipelines/${pipeline}`, { method: "DELETE" });
    if (!answer) return false;
    await answer.body?.cancel();
    if (answer.status === 503) return false;
    equal(answer.status, 204, "a pipeline is deleted");
    return true;
  }

  /** Opens a stream and never reads it. */
  async #stall(): Promise<void> {
    const { hostname, port } = new URL(this.#options.url());
    try {
      using connection = await Deno.connect({ hostname, port: Number(port) });
      const head = `GET /pipelines/${LOUD_PIPELINE}/sse HTTP/1.1\r\nHost: localhost\r\n\r\n`;
      await connection.write(new TextEncoder().encode(head));
      await this.#end.promise;
    } catch (error) {
      ok(this.#options.mayBreak(), `a connection is refused without a restart: ${error}`);
    }
  }

  async #send(body: string, count: number): Promise<void> {
    const headers = { "Content-Type": "application/json" };
    const answer = await this.#fetch("/ingest", { method: "POST", headers, body });
    if (!answer) return;
    await answer.body?.cancel();
    if (answer.status === 202) {
      this.#sums.published += count;
    } else {
      equal(answer.status, 503, "a publish is accepted, or refused for now");
      this.#sums.refused++;
    }
  }

  /** Sends a request; returns `null`, after a pause, if a restart interrupted it. */
  async #fetch(path: string, init: RequestInit = {}): Promise<Response | null> {
    try {
      return await fetch(`${this.#options.url()}${path}`, { ...init, client: this.#client });
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      ok(this.#options.mayBreak(), `a request failed without a restart: ${error.message}`);
      await this.#pause(RETRY_MS);
      return null;
    }
  }

  #pipeline(): string {
    const { random, pipelines } = this.#options;
    return `p_soak_${random.integer(1, pipelines)}`;
  }

  /** Pauses, not longer than the round. */
  async #pause(ms: number): Promise<void> {
    let timer;
    const pause = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([pause, this.#end.promise]);
    clearTimeout(timer);
  }
}
