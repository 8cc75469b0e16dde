/**
 * Proxy probes: streams on a known schedule, by which the diagnose page tells
 * whether something between service and client holds events back.
 *
 * @module
 */

import { Quota, RunnelError, type Runtime } from "../base/mod.ts";
import { encodeEvent } from "../protocol/mod.ts";

/** Number of lines that a probe sends. */
export const PROBE_LINES = 10;

/** Number of lines of a probe that is as quiet as a stream without events. */
export const QUIET_PROBE_LINES = 5;

/** Maximum number of concurrent probes of an isolate: each is short, and nobody needs two or three. */
const MAX_PROBES = 64;

/** The one owner of all probes. */
const ALL = "";

/** Options for {@linkcode ProxyProbes.open}. */
export interface ProbeRequest {
  /** Interval between two lines, in milliseconds. */
  everyMs: number;
  /** Size of the filling of each line, in bytes. */
  bytes: number;
  /** Number of lines. @default {10} */
  lines?: number;
  /** Whether it is a long poll: one line, after the interval. @default {false} */
  isPoll?: boolean;
  /** Settles when the connection closes, which may be long after the probe ended. */
  completed?: Promise<unknown> | undefined;
}

/** The proxy probes of an isolate. */
export class ProxyProbes {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #draining: AbortSignal;
  readonly #quota = new Quota(MAX_PROBES);
  readonly #ends = new Set<() => void>();

  /**
   * Creates the probes of an isolate.
   *
   * @param runtime Clock used for the schedule.
   * @param draining Signal that ends all probes when it is aborted; new ones
   *   are refused with its reason from then on.
   */
  constructor(runtime: Pick<Runtime, "clock">, draining: AbortSignal) {
    this.#runtime = runtime;
    this.#draining = draining;
    draining.addEventListener("abort", () => this.#endAll());
  }

  /** Number of places in use. */
  get size(): number {
    return this.#quota.inUse(ALL);
  }

  /**
   * Starts a probe, whose first line is sent at once and which ends with its
   * last one. A long poll is silent until its only line.
   *
   * @param request The schedule and the size of the lines.
   * @returns The event stream. Cancelling it ends the probe.
   * @throws {RunnelError} `draining`, or `overloaded` if there are too many.
   */
  open(
    { everyMs, bytes, isPoll = false, lines = isPoll ? 1 : PROBE_LINES, completed }: ProbeRequest,
  ): ReadableStream<Uint8Array> {
    this.#draining.throwIfAborted();
    const place = this.#quota.acquire(ALL);
    if (!place) {
      throw new RunnelError("overloaded", "Cannot probe: too many do so. Try again");
    }
    const leavePlace = () => place[Symbol.dispose]();
    completed?.then(leavePlace, leavePlace);
    // A different one for each line: equal ones would vanish in compression.
    const fill = () => btoa(String.fromCharCode(...randomBytes(Math.floor(bytes * 3 / 4))));
    let line = 0;
    let timer: Disposable;
    const dispose = () => {
      timer[Symbol.dispose]();
      this.#ends.delete(end);
      if (!completed) leavePlace();
    };
    let end: () => void;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        const began = this.#runtime.clock.monotonic();
        const send = () => {
          const sent = Math.round(this.#runtime.clock.monotonic() - began);
          const data = JSON.stringify({ line: ++line, of: lines, sent, fill: fill() });
          controller.enqueue(encodeEvent({ type: "runnel.probe", data }));
          if (line === lines) end();
        };
        end = () => {
          dispose();
          controller.close();
        };
        this.#ends.add(end);
        timer = this.#runtime.clock.every(everyMs, send);
        if (!isPoll) send();
      },
      cancel: dispose,
    });
  }

  #endAll(): void {
    for (const end of this.#ends) end();
  }
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}
