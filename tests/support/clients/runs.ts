/**
 * Runs that are appended while they happen, end, and are followed, through all failures of
 * their instances. Each event has to arrive once and in order, and nothing after the end.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { SeededRandom } from "../generators/random.ts";
import type { LoadContext } from "./load.ts";
import { StreamReader } from "./stream_reader.ts";

/** Number of subscribers of each run. */
const FOLLOWERS = 2;

/** Minimum and maximum number of events of a run. */
const EVENTS = [20, 150] as const;

/** Pause before a client comes back, in milliseconds. */
const RETRY_MS = 200;

/** Time for which a client waits for an answer that may never come, in milliseconds. */
const PATIENCE_MS = 5000;

/** Problems after which a client comes back. */
const STATUSES = [400, 408, 409, 503];

/** Counts over all runs. */
export interface RunCounts {
  runs: number;
  events: number;
  /** Connections of appends that broke, or were left. */
  breaks: number;
  /** Answers to other appends that were not whole, by the type of their problem. */
  problems: Record<string, number>;
  /** Connections that were left half open, and sent more after the end. */
  stalls: number;
  /** Connections of subscribers. */
  connections: number;
}

/** A client that makes one run after the other. */
export class Runs {
  readonly #service: LoadContext;
  readonly #random: SeededRandom;
  readonly #name: string;
  readonly #counts: RunCounts;

  constructor(name: string, service: LoadContext, random: SeededRandom, counts: RunCounts) {
    this.#name = name;
    this.#service = service;
    this.#random = random;
    this.#counts = counts;
  }

  /** Runs one run after the other until it is time to stop. The last one is finished. */
  async untilOver(): Promise<void> {
    for (let number = 0; !this.#service.isOver(); number++) {
      const pipeline = `p_run_${this.#name}_${number}`;
      const events = this.#random.integer(...EVENTS);
      const way = this.#random.pick(["event", "route", "publish"]);
      const followers = Array.from({ length: FOLLOWERS }, () => this.#follow(pipeline, events));
      const stalled = Promise.withResolvers<void>();
      await Promise.all([this.#write(pipeline, events, way, stalled.promise), ...followers]);
      stalled.resolve();
      await this.#service.pause(RETRY_MS);
      await this.#isWhole(pipeline, events);
      this.#counts.runs++;
      this.#counts.events += events;
    }
  }

  /** Appends the events of a run, and ends it, as often as that takes. */
  async #write(
    pipeline: string,
    events: number,
    way: string,
    stalled: Promise<void>,
  ): Promise<void> {
    const appended = way === "publish" ? events - 1 : events;
    for (let told = 0; told < appended;) {
      const after = this.#random.chance(0.5) ? await this.#standing(pipeline) : 0;
      const answer = await this.#append(pipeline, {
        numbers: Array.from({ length: appended - after }, (_, index) => after + index),
        after,
        ends: way === "event",
        stalled,
      });
      if (answer?.status === 200) {
        deepEqual([answer.accepted, answer.ended], [appended, way === "event"]);
        break;
      }
      if (answer) {
        ok(STATUSES.includes(answer.status), JSON.stringify(answer));
        // What is refused before it begins is not told.
        const { accepted = told } = answer;
        ok(accepted >= told, `${accepted} events stand after ${told}`);
        told = accepted;
        const problem = answer.type!.split(":").at(-1)!;
        this.#counts.problems[problem] = (this.#counts.problems[problem] ?? 0) + 1;
        // The last group may have been stored though its answer did not come.
        if (told === appended && way === "event" && !answer.ended) told--;
      }
      if (!answer) this.#counts.breaks++;
      await this.#service.pause(RETRY_MS);
    }
    if (way === "route") await this.#untilAccepted(`/pipelines/${pipeline}/end`, {}, "");
    if (way === "publish") {
      const body = JSON.stringify({
        pipeline,
        channel: "steps",
        payload: events - 1,
        end: true,
      });
      await this.#untilAccepted("/ingest", { "Content-Type": "application/json" }, body);
    }
  }

  async #append(
    pipeline: string,
    { numbers, after, ends, stalled }: {
      numbers: readonly number[];
      after: number;
      ends: boolean;
      stalled: Promise<void>;
    },
  ): Promise<{ status: number; type?: string; accepted?: number; ended?: boolean } | null> {
    const { pause } = this.#service;
    const random = this.#random;
    const breakAt = random.chance(0.3) ? random.integer(0, numbers.length) : Infinity;
    const isStalling = random.chance(0.4);
    const left = Promise.withResolvers<null>();
    let isAbandoned = false;
    const encoder = new TextEncoder();
    let next = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        await pause(random.integer(0, 25));
        if (next >= breakAt && !isAbandoned) {
          if (!isStalling) return controller.error(new TypeError("broken off"));
          this.#counts.stalls++;
          isAbandoned = true;
          left.resolve(null);
          await stalled;
        }
        if (next >= numbers.length) return controller.close();
        const end = Math.min(numbers.length, next + random.integer(1, 3));
        const lines = numbers.slice(next, end).map((number, index) => {
          const isEnd = ends && next + index === numbers.length - 1;
          return `{"channel":"steps","payload":${number}${isEnd ? ',"end":true' : ""}}\n`;
        });
        next = end;
        controller.enqueue(encoder.encode(lines.join("")));
      },
    }, { highWaterMark: 0 });
    const url = `${this.#service.pick(random)}/pipelines/${pipeline}/events?after=${after}`;
    const headers = { "Content-Type": "application/x-ndjson", "Idempotency-Key": pipeline };
    const answer = this.#ask(url, { method: "POST", headers, body });
    return await Promise.race([answer, left.promise]);
  }

  /** Returns the answer to a request; `null` if the connection broke. */
  async #ask(url: string, init: RequestInit) {
    try {
      const response = await fetch(url, init);
      const text = await response.text();
      return { status: response.status, ...text === "" ? {} : JSON.parse(text) };
    } catch (error) {
      // The instance was killed meanwhile: fetch fails, or the response is incomplete.
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      return null;
    }
  }

  /** Returns how many events stand, or 0 if that is not told. */
  async #standing(pipeline: string): Promise<number> {
    const url = `${this.#service.pick(this.#random)}/pipelines/${pipeline}/append`;
    const answer = await this.#ask(url, { headers: { "Idempotency-Key": pipeline } });
    return answer?.status === 200 ? answer.accepted : 0;
  }

  async #untilAccepted(
    path: string,
    headers: Record<string, string>,
    body: string,
  ): Promise<void> {
    while (true) {
      const url = `${this.#service.pick(this.#random)}${path}`;
      const answer = await this.#ask(url, {
        method: "POST",
        headers: { "Idempotency-Key": "the-end", ...headers },
        body,
      });
      if (answer?.status === 202) return;
      if (answer) equal(answer.status, 503, JSON.stringify(answer));
      await this.#service.pause(RETRY_MS);
    }
  }

  /** Follows a run as an `EventSource` does, until there is nothing to come back for. */
  async #follow(pipeline: string, events: number): Promise<void> {
    const { pick, pause } = this.#service;
    let lastEventId = "";
    let next = 0;
    let hasEnded = false;
    while (true) {
      await pause(this.#random.integer(0, RETRY_MS));
      const patience = new AbortController();
      const timer = setTimeout(() => patience.abort(), this.#random.integer(500, PATIENCE_MS));
      try {
        const response = await fetch(
          `${pick(this.#random)}/pipelines/${pipeline}/sse?history=all`,
          { headers: { "Last-Event-ID": lastEventId }, signal: patience.signal },
        );
        if (response.status === 204) {
          ok(hasEnded, "a run is over for a client that has its end");
          return;
        }
        if (response.status === 503) {
          // The store does not answer, and the instance has nothing of this run in memory.
          await response.body!.cancel();
          continue;
        }
        equal(response.status, 200);
        this.#counts.connections++;
        const reader = new StreamReader(response);
        for (let event; (event = await reader.event());) {
          ok(!hasEnded, `${event.type} comes after the end of a run`);
          lastEventId = event.id!;
          if (event.type === "runnel.end") {
            equal(event.data, JSON.stringify({ events }));
            equal(next, events, "the end comes after all events");
            hasEnded = true;
          } else if (event.type !== "runnel.live") {
            deepEqual([event.type, event.data], ["steps", `${next++}`], "each once, in order");
          }
        }
      } catch (error) {
        const isOver = error instanceof DOMException && error.name === "AbortError";
        if (!isOver && !(error instanceof TypeError)) throw error;
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /** Asserts that a run has its events and its end, and takes no more. */
  async #isWhole(pipeline: string, events: number): Promise<void> {
    const body = JSON.stringify({ pipeline, channel: "steps", payload: "late" });
    const post = { method: "POST", headers: { "Content-Type": "application/json" }, body };
    const until = async (path: string, init: RequestInit) => {
      let answer;
      while (
        !(answer = await this.#ask(`${this.#service.pick(this.#random)}${path}`, init)) ||
        answer.status === 503
      ) await this.#service.pause(RETRY_MS);
      return answer;
    };
    equal((await until("/ingest", post)).status, 409);
    const log = await until(`/pipelines/${pipeline}/events?history=all`, {});
    deepEqual(
      log.events.map(({ payload }: { payload: unknown }) => payload),
      Array.from({ length: events }, (_, index) => index),
    );
    equal(log.end?.events, events);
  }
}
