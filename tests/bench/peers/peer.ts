/**
 * A server that the benchmark drives.
 *
 * @module
 */

import type { LoadOptions } from "../load.ts";

/** A running server. */
export interface Server extends AsyncDisposable {
  /** Ports, over which the load generator spreads its connections. */
  ports: readonly number[];
  /** Identifiers of its processes. */
  pids(): Promise<number[]>;
  /** Returns the number of the newest event of a pipeline, if the server numbers them. */
  newest?(pipeline: string): Promise<number>;
  /** Returns the number of its commits, and of the writes of the store that made them. */
  counts?(): Promise<{ commits: number; writes: number }>;
}

/**
 * Requests of a server, as options of the load generator, with `{pipeline}` for the
 * name of a pipeline and `{mark}` for the text that identifies an event.
 */
export interface Wire {
  /** Requests that subscribe, and that publish one event. */
  single: LoadOptions;
  /** Options that differ in a request with several events; `null` if there is none. */
  batch: LoadOptions | null;
  /** Options that differ for clients that want what is stored. @default {{}} */
  history?: LoadOptions;
}

/** A server, or one of its settings. */
export interface Peer {
  /** Name, as it stands in a table. */
  name: string;
  /** Word by which `--peers` names it. */
  word: string;
  /** Promises: where events are kept, whether they are ordered, whether clients can resume. */
  promises: string;
  /** Reason why it cannot run on this machine, or `null`. */
  missing: string | null;
  wire: Wire;
  /**
   * Starts it with nothing stored.
   *
   * @param settings Environment variables that differ from those of the benchmark.
   */
  start(settings?: Readonly<Record<string, string>>): Promise<Server>;
}

/** Payload of all events, about 120 bytes. */
export const PAYLOAD = `{"at":"{mark}","text":"${"lorem ipsum dolor sit amet ".repeat(3).trim()}"}`;

/** Starts a process as a server. */
export function serverOf(
  process: AsyncDisposable & { port: number; pids(): Promise<number[]> },
): Server {
  return {
    ports: [process.port],
    pids: () => process.pids(),
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}
