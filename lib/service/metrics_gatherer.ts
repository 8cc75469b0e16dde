/**
 * One page of metrics for several isolates: a request for it reaches any of them,
 * which asks the isolate that started all, which asks each.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";
import { combine, type Metrics, type Snapshot, takeSnapshot } from "../telemetry/mod.ts";
import { answerCalls, RemoteCaller } from "./remote_calls.ts";

/** Time that an isolate may take to tell its own metrics, in milliseconds. */
const ISOLATE_MS = 1000;

/** Time that the gathering may take as a whole, in milliseconds. */
const GATHER_MS = 1500;

/** Ports of an isolate for its metrics. Each carries calls in one direction. */
export interface MetricsPorts {
  /** On which it asks for the metrics of all isolates. */
  ask: MessagePort;
  /** On which it is asked for its own. */
  answer: MessagePort;
}

/** Gathers the metrics of all isolates, in the one that started them. */
export class MetricsGatherer {
  readonly #own: Metrics;
  readonly #clock: Clock;
  readonly #isolates: RemoteCaller<never>[] = [];
  readonly #ports: MessagePort[] = [];

  /**
   * @param own Metrics of the isolate that gathers.
   * @param clock Clock for deadlines.
   */
  constructor(own: Metrics, clock: Clock) {
    this.#own = own;
    this.#clock = clock;
  }

  /** Adds an isolate, and returns the ports for it. */
  add(): MetricsPorts {
    const [ask, answer] = [new MessageChannel(), new MessageChannel()];
    answerCalls<never>(ask.port1, { metrics: { gather: () => this.gather() } });
    this.#ports.push(ask.port1);
    this.#isolates.push(createCaller(answer.port1, this.#clock, ISOLATE_MS));
    return { ask: ask.port2, answer: answer.port2 };
  }

  /**
   * Returns the metrics of all isolates as one. If one does not answer there are none:
   * without its part, all counters would seem to have gone back.
   *
   * @throws {RunnelError} `overloaded`.
   */
  async gather(): Promise<Snapshot> {
    const snapshots = await Promise.all(
      this.#isolates.map((isolate) => call(isolate, "snapshot")),
    );
    return combine([takeSnapshot(this.#own), ...snapshots]);
  }

  /** Closes all ports. */
  close(): void {
    for (const isolate of this.#isolates) isolate.close();
    for (const port of this.#ports) port.close();
  }
}

/**
 * Serves the metrics of this isolate to the gatherer.
 *
 * @param clock Clock for deadlines.
 * @returns Gathers the metrics of all isolates.
 */
export function reachGatherer(
  { ask, answer }: MetricsPorts,
  own: Metrics,
  clock: Clock,
): () => Promise<Snapshot> {
  answerCalls<never>(answer, {
    metrics: { snapshot: () => Promise.resolve(takeSnapshot(own)) },
  });
  const caller = createCaller(ask, clock, GATHER_MS);
  return () => call(caller, "gather");
}

function createCaller(port: MessagePort, clock: Clock, timeoutMs: number): RemoteCaller<never> {
  return new RemoteCaller<never>(port, { clock, timeoutMs, onNews() {} });
}

function call(caller: RemoteCaller<never>, method: string): Promise<Snapshot> {
  return caller.call<Snapshot>("metrics", method, [], { onLate: tooSlow });
}

function tooSlow(ms: number): RunnelError {
  return new RunnelError(
    "overloaded",
    `Cannot gather the metrics: an isolate did not answer within ${ms} ms. Try again`,
  );
}
