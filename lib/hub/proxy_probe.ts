/**
 * Streams that are sent on a known schedule, for the page that tells whether
 * something on the way holds events back.
 *
 * @module
 */

import { Quota, RunnelError, type Runtime } from "../base/mod.ts";
import { encodeEvent } from "../protocol/mod.ts";

/** How many lines a probe sends. */
export const PROBE_LINES = 10;

/** How many probes an isolate answers at once: each is short, and nobody needs two or three. */
const MAX_PROBES = 64;

/** The one owner of all probes. */
const ALL = "";

/** What a probe is asked for. */
export interface ProbeRequest {
  /** The time between two lines, in milliseconds. */
  everyMs: number;
  /** How many bytes each line is filled up with. */
  bytes: number;
  /** Settles when its connection is over, as of {@linkcode Subscription}. */
  completed?: Promise<unknown> | undefined;
}

/** The probes that are being answered. */
export class Probes {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #quota = new Quota(MAX_PROBES);
  readonly #ends = new Set<() => void>();

  /**
   * Makes a place for probes.
   *
   * @param runtime Clock used for the schedule.
   */
  constructor(runtime: Pick<Runtime, "clock">) {
    this.#runtime = runtime;
  }

  /** How many have a place. */
  get size(): number {
    return this.#quota.inUse(ALL);
  }

  /**
   * Begins a probe: the first line at once, then one after the other, then the end.
   *
   * @param request What it is asked for.
   * @returns The event stream. Cancelling it ends the probe.
   * @throws {RunnelError} `overloaded` if there are too many.
   *
   * @example
   * ```ts
   * import { match } from "node:assert/strict";
   * import { systemRuntime } from "../base/mod.ts";
   *
   * const stream = new Probes(systemRuntime).open({ everyMs: 1, bytes: 0 });
   * match(await new Response(stream).text(), /^event: runnel\.probe\ndata: \{"line":1,"of":10,/);
   * ```
   */
  open({ everyMs, bytes, completed }: ProbeRequest): ReadableStream<Uint8Array> {
    const place = this.#quota.acquire(ALL);
    if (!place) {
      throw new RunnelError("overloaded", "Cannot probe: too many do so. Try again");
    }
    const leavePlace = () => place[Symbol.dispose]();
    completed?.then(leavePlace, leavePlace);
    // Another one for each line: what is alike would vanish where it is compressed.
    const fill = () => btoa(String.fromCharCode(...randomBytes(Math.floor(bytes * 3 / 4))));
    let line = 0;
    let timer: Disposable;
    const leave = () => {
      timer[Symbol.dispose]();
      this.#ends.delete(end);
      if (!completed) leavePlace();
    };
    let end: () => void;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        const began = this.#runtime.clock.now();
        const send = () => {
          const sent = this.#runtime.clock.now() - began;
          const data = JSON.stringify({ line: ++line, of: PROBE_LINES, sent, fill: fill() });
          controller.enqueue(encodeEvent({ type: "runnel.probe", data }));
          if (line === PROBE_LINES) end();
        };
        end = () => {
          leave();
          controller.close();
        };
        this.#ends.add(end);
        timer = this.#runtime.clock.every(everyMs, send);
        send();
      },
      cancel: leave,
    });
  }

  /** Ends all, wherever they are. */
  end(): void {
    for (const end of this.#ends) end();
  }
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}
