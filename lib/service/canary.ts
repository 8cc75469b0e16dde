/**
 * The canary of an instance: it publishes to itself as a client does, over the network,
 * and measures how long the event takes to arrive on a stream.
 *
 * @module
 */

import type { CanaryIdentity } from "../access/mod.ts";
import { deadline, describeCause, type Runtime } from "../base/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import { CANARY_PREFIX } from "../protocol/mod.ts";
import type { Address } from "./server.ts";

/** Time within which an event must arrive, the stream begin and the publish be answered, in milliseconds. */
const ROUND_MS = 5000;

/** Options for {@linkcode Canary}. */
export interface CanaryOptions {
  /** Its pipeline and token. */
  identity: CanaryIdentity;
  /** Address at which the instance listens. */
  address: Address;
  /** Interval between two rounds, in milliseconds. */
  everyMs: number;
  /** Counts the rounds, and measures them. */
  metrics: Pick<Metrics, "canaryRounds" | "canaryDelay">;
  /** Clock of the rounds, and reporter of those that fail. */
  runtime: Pick<Runtime, "clock" | "report">;
}

/** Error of a round whose event was stored and did not arrive. */
class Lost extends Error {}

/**
 * Creates the identity of a canary.
 *
 * @param isShared Whether other instances use the store, and need pipelines of their own.
 */
export function createIdentity(isShared: boolean): CanaryIdentity {
  const pipeline = isShared ? `${CANARY_PREFIX}-${randomText(9)}` : CANARY_PREFIX;
  return { pipeline, token: randomText(32) };
}

function randomText(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return random.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * The canary. Each round opens a stream, publishes an event, and waits for it. Both
 * connections are new, so with several isolates they reach any of them.
 */
export class Canary implements Disposable {
  readonly #options: CanaryOptions;
  readonly #timer: Disposable;
  readonly #ending = new AbortController();
  #round: Promise<void> | null = null;
  /** Whether the last round failed: one that lasts is reported once. */
  #isFailing = false;

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.#timer = options.runtime.clock.every(options.everyMs, () => {
      // A round that takes longer than the interval is not joined by another.
      this.#round ??= this.#runRound().finally(() => this.#round = null);
    });
  }

  async #runRound(): Promise<void> {
    const { metrics: { canaryRounds, canaryDelay }, runtime: { report } } = this.#options;
    try {
      canaryDelay.record(await this.#measure() / 1000);
      canaryRounds.add("delivered");
      this.#isFailing = false;
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      canaryRounds.add(error instanceof Lost ? "lost" : "failed");
      if (!this.#isFailing) {
        report(`The canary of this instance did not arrive: ${describeCause(error)}`);
      }
      this.#isFailing = true;
    }
  }

  /** Returns the time between a publish and the arrival of its event, in milliseconds. */
  async #measure(): Promise<number> {
    const { identity: { pipeline }, runtime: { clock } } = this.#options;
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    using round = new Round(this.#ending.signal);
    const { signal } = round;
    const path = `/pipelines/${pipeline}/sse?history=0`;
    const within = <T>(work: Promise<T>, late: () => Error) =>
      deadline(clock, ROUND_MS, work, late);
    const response = await within(this.#fetch(path, { client, signal }), tooLate("the stream"));
    const lines = readLines(response);
    await within(lines.until("event: runnel.live"), tooLate("the start of the stream"));
    const mark = randomText(9);
    const started = clock.monotonic();
    const published = this.#fetch(`/ingest/${pipeline}/round`, {
      client,
      signal,
      method: "POST",
      body: mark,
    });
    await (await within(published, tooLate("the answer to the publish"))).body?.cancel();
    const isLost = () => new Lost(`it was stored, and was not on the stream after ${ROUND_MS} ms`);
    await within(lines.until(`data: ${JSON.stringify(mark)}`), isLost);
    return clock.monotonic() - started;
  }

  async #fetch(path: string, init: RequestInit & { client: Deno.HttpClient }): Promise<Response> {
    const { identity: { token }, address: { hostname, port } } = this.#options;
    const response = await fetch(`http://${hostOf(hostname)}:${port}${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${token}` },
    });
    if (response.ok) return response;
    throw new Error(`it was refused with ${response.status}: ${await response.text()}`);
  }

  /** Ends the round in progress, and begins no other. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#ending.abort();
  }
}

/** The requests of a round, which end with it, and with the canary. */
class Round implements Disposable {
  readonly signal: AbortSignal;
  readonly #ended = new AbortController();

  constructor(ending: AbortSignal) {
    this.signal = AbortSignal.any([ending, this.#ended.signal]);
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
  }
}

function tooLate(what: string): () => Error {
  return () => new Error(`${what} did not come within ${ROUND_MS} ms`);
}

/** Returns the host under which this machine reaches an address of its own. */
function hostOf(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  if (hostname === "::") return "[::1]";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** Reads a stream line by line. */
function readLines({ body }: Response): { until: (line: string) => Promise<void> } {
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  return {
    async until(line) {
      for (;;) {
        const lines = rest.split("\n");
        const found = lines.indexOf(line);
        // The last one may be incomplete.
        if (found >= 0 && found < lines.length - 1) {
          rest = lines.slice(found + 1).join("\n");
          return;
        }
        rest = lines.at(-1)!;
        const { done, value } = await reader.read();
        if (done) throw new Error("the stream ended");
        rest += value;
      }
    },
  };
}
