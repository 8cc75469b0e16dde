/**
 * A client that appends numbered events while they happen, breaks off, and comes back.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { SeededRandom } from "../generators/random.ts";
import type { PublishedEvent } from "../clients/subscriber_record.ts";
import type { ModelService } from "./model_service.ts";
import type { StoredEvents } from "./stored_events.ts";

/** Problems after which the client comes back. */
const TRANSIENT = [
  "draining",
  "log-unavailable",
  "outcome-unknown",
  "overloaded",
  "malformed-request",
  "append-superseded",
];

/** Options for {@linkcode Appender}. */
export interface AppenderOptions {
  service: ModelService;
  stored: StoredEvents;
  random: SeededRandom;
  pipeline: string;
  /** Name, which its events bear. */
  name: string;
  channels: readonly string[];
}

/** One append: its events, and what is known of it. */
export interface ModelAppend {
  key: string | undefined;
  events: readonly PublishedEvent[];
  /** Whether the last event ends the run. */
  ends: boolean;
}

/** Answer to one connection of an append. */
interface Answer {
  status: number;
  /** Last part of the type of the problem; empty without one. */
  problem: string;
  /** Absent if it was refused before it began. */
  accepted: number | undefined;
  ended: boolean;
}

/** The client. */
export class Appender {
  readonly #options: AppenderOptions;
  readonly #appends: ModelAppend[] = [];

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /** Prepares an append of some events. Without a key it is not sent again. */
  prepare({ ends = false, isKeyed = true } = {}): ModelAppend {
    const { random, name, channels } = this.#options;
    const append = `${name}.${this.#appends.length}`;
    const events = Array.from({ length: random.integer(1, 25) }, (_, index) => ({
      channel: random.pick(channels),
      data: JSON.stringify({
        append,
        index,
        filling: "x".repeat(random.chance(0.02) ? 50_000 : 10),
      }),
    }));
    const prepared = { key: isKeyed ? append : undefined, events, ends };
    this.#appends.push(prepared);
    return prepared;
  }

  /**
   * Sends an append until all of it stands, or once if it has no key.
   *
   * @returns Whether the run had ended before all of it was stored.
   */
  async send(append: ModelAppend): Promise<boolean> {
    const { events, key, ends } = append;
    // What is unknown once may be stored while the next connection is open.
    let isSure = true;
    while (true) {
      const after = await this.#startOf(append);
      const { status, problem, accepted, ended } = await this.#connect(append, after);
      if (problem === "run-ended") return true;
      await this.#options.stored.noted();
      if (status === 200) {
        deepEqual([accepted, ended], [events.length, ends]);
        equal(this.#standing(append), events.length);
        return false;
      }
      ok(TRANSIENT.includes(problem), problem);
      if (problem === "outcome-unknown") isSure = false;
      if (isSure && accepted !== undefined) {
        equal(accepted, this.#standing(append), "as many as are stored");
      }
      if (key === undefined) return false;
      await this.#options.service.breathe();
    }
  }

  /** Asserts that each append stands from its beginning, each event once and in order. */
  verify(): void {
    for (const append of this.#appends) this.#standing(append);
  }

  /** Returns how many events of an append are stored: the first ones of it. */
  #standing({ events }: ModelAppend): number {
    const { append } = JSON.parse(events[0]!.data);
    const prefix = `{"append":"${append}",`;
    const logs = [...this.#options.stored.byEpoch.values()];
    const found = logs.flat().filter((event) => event?.data.startsWith(prefix));
    deepEqual(found, events.slice(0, found.length), `the beginning of ${append}`);
    return found.length;
  }

  /** Returns the number of the event with which the next connection begins. */
  async #startOf({ key }: ModelAppend): Promise<number> {
    const { service, random, pipeline } = this.#options;
    if (key === undefined || random.chance(0.5)) return 0;
    const url = `http://localhost:8000/pipelines/${pipeline}/append`;
    const headers = { "Idempotency-Key": key };
    const response = await service.now.fetch(new Request(url, { headers }));
    const { accepted } = await response.json();
    if (response.status === 200) return random.integer(0, accepted);
    equal(response.status, 503);
    return 0;
  }

  async #connect(append: ModelAppend, after: number): Promise<Answer> {
    const { service, pipeline } = this.#options;
    const url = `http://localhost:8000/pipelines/${pipeline}/events?after=${after}`;
    const headers = {
      "Content-Type": "application/x-ndjson",
      ...append.key !== undefined && { "Idempotency-Key": append.key },
    };
    const body = this.#bodyOf(append, after);
    const response = await service.now.fetch(new Request(url, { method: "POST", headers, body }));
    const { type = "", accepted, ended = false } = await response.json();
    return { status: response.status, problem: type.split(":").at(-1), accepted, ended };
  }

  /** Returns a body that comes in pieces, and may break off. */
  #bodyOf({ events, ends }: ModelAppend, after: number): ReadableStream<Uint8Array> {
    const { service, random } = this.#options;
    const lines = events.slice(after).map(({ channel, data }, index) => {
      const isLast = after + index === events.length - 1;
      return `{"channel":"${channel}","payload":${data}${ends && isLast ? ',"end":true' : ""}}\n`;
    });
    const bytes = new TextEncoder().encode(lines.join(""));
    const breakAt = random.chance(0.4) ? random.integer(0, bytes.length) : Infinity;
    const size = random.pick([1, 40, 2000]) * random.integer(1, 40);
    let at = 0;
    return new ReadableStream({
      async pull(controller) {
        if (random.chance(0.5)) await service.breathe();
        if (at >= breakAt) return controller.error(new TypeError("broken off"));
        if (at >= bytes.length) return controller.close();
        const end = Math.min(at + size, breakAt, bytes.length);
        controller.enqueue(bytes.slice(at, end));
        at = end;
      },
    }, { highWaterMark: 0 });
  }
}
