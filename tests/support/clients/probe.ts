/**
 * A publisher and a subscriber that measure a service over restarts, and notice every
 * event that is missing or arrives twice.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { StreamReader } from "./stream_reader.ts";

const PIPELINE = "p_probe";

/** Pause before a request is repeated, or a stream opened again, in milliseconds. */
const RETRY_MS = 100;

/** Options for {@linkcode Probe}. */
export interface ProbeOptions {
  /** Returns the address of the service. */
  url: () => string;
  /** Returns whether a restart may break connections now. */
  mayBreak: () => boolean;
  /** Interval between publishes, in milliseconds. */
  everyMs: number;
}

/** A publisher and a subscriber, until they are stopped. */
export class Probe {
  /** Times from before a publish to the arrival of its event, since they were last taken. */
  #deliveryMs: number[] = [];
  /** Number of events that arrived. */
  delivered = 0;
  /** Number of publishes that were answered 503, and were repeated. */
  refused = 0;
  /** Number of connections that were opened for the stream. */
  connections = 0;
  readonly #options: ProbeOptions;
  // Streams of its own: the pool of others is closed after each round.
  readonly #client = Deno.createHttpClient({});
  readonly #ended: Promise<unknown>;
  #isStopped = false;

  constructor(options: ProbeOptions) {
    this.#options = options;
    const live = Promise.withResolvers<void>();
    this.#ended = Promise.all([this.#listen(live.resolve), live.promise.then(this.#publish)]);
    // An error is thrown by the method that stops them.
    this.#ended.catch(() => {});
  }

  /** Returns the times since the last call, in milliseconds. */
  take(): number[] {
    const taken = this.#deliveryMs;
    this.#deliveryMs = [];
    return taken;
  }

  /** Throws the error of the clients if they failed. */
  async check(): Promise<void> {
    await Promise.race([this.#ended, Promise.resolve()]);
  }

  /** Stops the clients after the last event has arrived. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#ended;
    this.#client.close();
  }

  #publish = async (): Promise<void> => {
    for (let number = 0, isLast = false; !isLast; number++) {
      isLast = this.#isStopped;
      const start = performance.now();
      const body = JSON.stringify({ number, start, isLast });
      const key = { "Idempotency-Key": `probe-${number}` };
      while (!await this.#publishOnce(body, key)) await pause(RETRY_MS);
      await pause(this.#options.everyMs);
    }
  };

  async #publishOnce(body: string, key: Record<string, string>): Promise<boolean> {
    try {
      const answer = await fetch(`${this.#options.url()}/ingest/${PIPELINE}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...key },
        body,
        client: this.#client,
      });
      const text = await answer.text();
      if (answer.status === 202) return true;
      equal(answer.status, 503, text);
      this.refused++;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      ok(this.#options.mayBreak(), "a publish is interrupted without a restart");
    }
    return false;
  }

  async #listen(onLive: () => void): Promise<void> {
    let lastEventId = "";
    for (let next = 0, isOver = false; !isOver;) {
      const reader = await this.#open(lastEventId);
      if (!reader) continue;
      this.connections++;
      try {
        for (let event; !isOver && (event = await reader.event());) {
          lastEventId = event.id ?? lastEventId;
          if (event.type === "runnel.live") onLive();
          equal(event.type === "runnel.gap", false, "the probe misses events");
          if (event.type.startsWith("runnel.")) continue;
          const { number, start, isLast } = JSON.parse(event.data);
          equal(number, next++, "the probe gets each event once, in order");
          this.#deliveryMs.push(performance.now() - start);
          this.delivered++;
          isOver = isLast;
        }
        if (isOver) return await reader.cancel();
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      ok(this.#options.mayBreak(), "a stream ended without a restart");
    }
  }

  /** Opens the stream, or returns `null` if nothing listens. */
  async #open(lastEventId: string): Promise<StreamReader | null> {
    try {
      const answer = await fetch(`${this.#options.url()}/pipelines/${PIPELINE}/sse?history=0`, {
        headers: { Accept: "text/event-stream", "Last-Event-ID": lastEventId },
        client: this.#client,
      });
      equal(answer.status, 200, "an EventSource never comes back from an error");
      return new StreamReader(answer);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      ok(this.#options.mayBreak(), "a stream is refused without a restart");
      await pause(RETRY_MS);
      return null;
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
