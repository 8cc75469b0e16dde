/**
 * Clients that use a service as intended, and must not be affected by attacks.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { StreamReader } from "./stream_reader.ts";

const PIPELINE = "p_honest";

/** A publisher and subscribers, until they are stopped. */
export class WellBehavedClients {
  /** Durations of publishes until their responses, in milliseconds. */
  readonly publishMs: number[] = [];
  /** Durations from before a publish to the arrival of its event, in milliseconds. */
  readonly deliveryMs: number[] = [];
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #everyMs: number;
  readonly #ended: Promise<void>;
  #isStopped = false;

  /**
   * @param url The service.
   * @param options Credentials, number of subscribers, and interval between publishes.
   */
  constructor(
    url: string,
    { headers = {}, subscribers = 3, everyMs = 20 }: {
      headers?: Record<string, string>;
      subscribers?: number;
      everyMs?: number;
    } = {},
  ) {
    this.#url = url;
    this.#headers = headers;
    this.#everyMs = everyMs;
    this.#ended = this.#run(subscribers);
    // An error is thrown by the method that stops them.
    this.#ended.catch(() => {});
  }

  /** Stops the clients after the last event has arrived. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#ended;
  }

  async #run(subscribers: number): Promise<void> {
    const readers = await Promise.all(
      Array.from({ length: subscribers }, async () => {
        const answer = await fetch(`${this.#url}/pipelines/${PIPELINE}/sse?history=0`, {
          headers: this.#headers,
        });
        equal(answer.status, 200, "a subscriber is let in");
        const reader = new StreamReader(answer);
        await reader.until("runnel.live");
        return reader;
      }),
    );
    await Promise.all([this.#publish(), ...readers.map((reader) => this.#listen(reader))]);
  }

  async #publish(): Promise<void> {
    for (let number = 0, isLast = false; !isLast; number++) {
      isLast = this.#isStopped;
      const start = performance.now();
      const answer = await fetch(`${this.#url}/ingest/${PIPELINE}/events`, {
        method: "POST",
        headers: { ...this.#headers, "Content-Type": "application/json" },
        body: JSON.stringify({ number, start, isLast }),
      });
      equal(answer.status, 202, await answer.text());
      this.publishMs.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, this.#everyMs));
    }
  }

  async #listen(reader: StreamReader): Promise<void> {
    for (let next = 0;; next++) {
      const event = await reader.event();
      ok(event, "an honest subscriber's stream ended");
      const { number, start, isLast } = JSON.parse(event.data);
      equal(number, next, "an honest subscriber gets each event, in its order");
      this.deliveryMs.push(performance.now() - start);
      if (isLast) return await reader.cancel();
    }
  }
}

/** Returns median, 99th percentile and maximum of durations, in whole milliseconds. */
export function percentiles(times: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.ceil(sorted.length * share) - 1] ?? NaN);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
