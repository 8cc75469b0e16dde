/**
 * A client of another author, in a process of its own.
 *
 * @module
 */

import { eventually } from "../support/wait.ts";

/** An event as the program prints it. */
export interface PrintedEvent {
  type: string;
  id: string;
  data: string;
}

/** A running program, with what it has printed. */
export class ClientProgram implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #complaints: string[] = [];
  /** Events so far, in order. */
  readonly events: PrintedEvent[] = [];

  /** Starts the program of a library. */
  constructor([executable, ...args]: readonly string[], library: string, url: string) {
    this.#child = new Deno.Command(executable!, {
      args: [...args, library, url],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#ended = Promise.all([
      readLines(this.#child.stdout, (line) => this.events.push(JSON.parse(line))),
      readLines(this.#child.stderr, (line) => this.#complaints.push(line)),
      this.#child.status,
    ]);
  }

  /** Returns the data of the published events of a type so far. */
  payloads(ofType: string): unknown[] {
    return this.events.filter(({ type, data }) => type === ofType && data !== "")
      .map(({ data }) => JSON.parse(data));
  }

  /** Waits until the newest event of a type that it has printed is one with some data. */
  async receive(type: string, payload: unknown): Promise<void> {
    const text = JSON.stringify(payload);
    const has = () => JSON.stringify(this.payloads(type).at(-1)) === text;
    try {
      await eventually(`it receives ${text}`, has);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#complaints.slice(-5).join("\n")}`);
    }
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#ended;
  }
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
  }
}
