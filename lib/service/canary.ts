/**
 * The canary of an instance: it publishes to itself as a client does, over the network,
 * and measures how long the event takes to arrive on a stream.
 *
 * @module
 */

import type { CanaryIdentity } from "../access/mod.ts";
import { deadline, type Runtime } from "../base/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import { CANARY_PREFIX } from "../protocol/mod.ts";
import type { CertificateFiles } from "./certificate_files.ts";
import { type OwnAddress, type OwnRequest, requestSelf } from "./own_requests.ts";
import { RENEWAL_MS } from "./renewal_timetable.ts";

/** Time within which an event must arrive, the stream begin and the publish be answered, in milliseconds. */
const ROUND_MS = 5000;

/** Number of rounds in a row that must be delivered for the canary to work again. */
const STEADY_ROUNDS = 3;

/** Options for {@linkcode Canary}. */
export interface CanaryOptions extends OwnAddress {
  /** Its pipeline and token. */
  identity: CanaryIdentity;
  /** Certificate of the instance; `null` for HTTP. */
  certificate: Pick<CertificateFiles, "pair" | "facts" | "renewedAt"> | null;
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
  /** Rounds since one failed, and those that followed; `null` while all are delivered. */
  #outage: { since: number; failed: number; delivered: number } | null = null;

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.#timer = options.runtime.clock.every(options.everyMs, () => {
      // A round that takes longer than the interval is not joined by another.
      this.#round ??= this.#runRound().finally(() => this.#round = null);
    });
  }

  async #runRound(): Promise<void> {
    const { metrics: { canaryRounds, canaryDelay }, runtime: { clock } } = this.#options;
    const began = clock.monotonic();
    try {
      canaryDelay.record(await this.#measure() / 1000);
      canaryRounds.add("delivered");
      this.#delivered();
    } catch (error) {
      const isLost = error instanceof Lost;
      if (this.#ending.signal.aborted || (!isLost && this.#isRenewing(began))) return;
      canaryRounds.add(isLost ? "lost" : "failed");
      this.#failed(error);
    }
  }

  /**
   * Whether a round began before a new certificate had taken over: its connections may have
   * got either, and one that was being opened may have been reset.
   */
  #isRenewing(began: number): boolean {
    const { certificate } = this.#options;
    return certificate !== null && began < certificate.renewedAt + RENEWAL_MS;
  }

  /** Reports the first round that fails: those that come and go are one outage. */
  #failed(error: unknown): void {
    const { clock, report } = this.#options.runtime;
    if (!this.#outage) {
      this.#outage = { since: clock.monotonic(), failed: 0, delivered: 0 };
      report("The canary of this instance did not arrive", error, { level: "warn" });
    }
    this.#outage.failed++;
    this.#outage.delivered = 0;
  }

  #delivered(): void {
    if (!this.#outage || ++this.#outage.delivered < STEADY_ROUNDS) return;
    const { clock, report } = this.#options.runtime;
    const { since, failed } = this.#outage;
    this.#outage = null;
    report("The canary of this instance arrives again", undefined, {
      level: "info",
      fields: { seconds: Math.round((clock.monotonic() - since) / 1000), failed },
    });
  }

  /** Returns the time between a publish and the arrival of its event, in milliseconds. */
  async #measure(): Promise<number> {
    const { identity: { pipeline }, runtime: { clock } } = this.#options;
    using round = new Round(this.#ending.signal);
    const { signal } = round;
    const path = `/pipelines/${pipeline}/sse?history=0`;
    const within = <T>(work: Promise<T>, late: () => Error) =>
      deadline(clock, ROUND_MS, work, late);
    const opened = this.#send({ method: "GET", path, signal });
    const response = await within(opened, tooLate("the stream"));
    const lines = readLines(response);
    await within(lines.until("event: runnel.live"), tooLate("the start of the stream"));
    const mark = randomText(9);
    const started = clock.monotonic();
    const published = this.#send({
      method: "POST",
      path: `/ingest/${pipeline}/round`,
      body: mark,
      signal,
    });
    await (await within(published, tooLate("the answer to the publish"))).body?.cancel();
    const isLost = () => new Lost(`it was stored, and was not on the stream after ${ROUND_MS} ms`);
    await within(lines.until(`data: ${JSON.stringify(mark)}`), isLost);
    return clock.monotonic() - started;
  }

  async #send(request: Omit<OwnRequest, "headers">): Promise<Response> {
    const headers = { Authorization: `Bearer ${this.#options.identity.token}` };
    const response = await requestSelf(this.#options, { ...request, headers });
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
