/**
 * A Worker that serves, as the isolate that started it controls it.
 *
 * @module
 */

import type { CanaryIdentity } from "../access/mod.ts";
import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { KeyPair } from "./certificate.ts";
import type { MetricsPorts } from "./metrics_gatherer.ts";
import type { Address } from "./server.ts";

/** First message to a Worker. */
export interface WorkerSetup {
  /** The settings. */
  config: Config;
  /** Number of the isolate, from 1. */
  isolate: number;
  /** Port to share; 0 for the first Worker, which then chooses one. */
  port: number;
  /** Certificate for HTTPS; `null` for HTTP. */
  pair: KeyPair | null;
  /** Port on which it receives each {@linkcode WorkerCommand}. */
  commands: MessagePort;
  /** Port of the log, if another isolate owns it. */
  logPort: MessagePort | null;
  /** Ports of its metrics. */
  metrics: MetricsPorts;
  /** Identity of the canary, whose requests reach any isolate. */
  canary: CanaryIdentity | null;
}

/**
 * Command to a Worker: to drain, and then to stop because no isolate publishes any more;
 * or a certificate that replaces the one before.
 */
export type WorkerCommand = "drain" | "stop" | KeyPair;

/** Message from a Worker. */
export type WorkerMessage =
  /** The Worker waits for its setup. */
  | { type: "ready" }
  | { type: "listening"; address: Address }
  | { type: "publishing-stopped" }
  | { type: "drained" }
  /** With the type of the error if it is one that a start can expect. */
  | { type: "failed"; errorType?: RunnelErrorType; message: string };

/** A Worker that serves. */
export class ServingWorker {
  readonly #worker: Worker;
  readonly #commands: MessagePort;
  /** Setup of the Worker, with the ports to transfer, until it is sent. */
  #setup: WorkerSetup | null;
  readonly #listening = Promise.withResolvers<Address>();
  readonly #publishingStopped = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<string>();

  constructor(entry: URL, setup: Omit<WorkerSetup, "commands">) {
    const { port1, port2 } = new MessageChannel();
    this.#commands = port1;
    this.#setup = { ...setup, commands: port2 };
    this.#worker = new Worker(entry, { type: "module", name: "runnel" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#onMessage(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#onMessage({ type: "failed", message: `An isolate failed: ${event.message}` });
    };
  }

  /** Resolves with the address at which it listens; rejects if it cannot. */
  get listening(): Promise<Address> {
    return this.#listening.promise;
  }

  /** Resolves when a drain has ended its publishes. */
  get publishingStopped(): Promise<void> {
    return this.#publishingStopped.promise;
  }

  /** Resolves when a drain has ended. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  /** Resolves with a line for the operator if it ends by itself. */
  get failed(): Promise<string> {
    return this.#failed.promise;
  }

  #onMessage(message: WorkerMessage): void {
    switch (message.type) {
      case "ready":
        return this.#sendSetup();
      case "listening":
        return this.#listening.resolve(message.address);
      case "publishing-stopped":
        return this.#publishingStopped.resolve();
      case "drained":
        return this.#drained.resolve();
      case "failed": {
        const { errorType, message: line } = message;
        this.#listening.reject(errorType ? new RunnelError(errorType, line) : new Error(line));
        this.#failed.resolve(line);
      }
    }
  }

  /** Not before the Worker runs: the ports of a message to one that failed would stay open. */
  #sendSetup(): void {
    const setup = this.#setup!;
    this.#setup = null;
    this.#worker.postMessage(setup, portsOf(setup));
  }

  /** Sends a command. */
  post(command: WorkerCommand): void {
    this.#commands.postMessage(command);
  }

  /** Ends it at once. */
  terminate(): void {
    this.#worker.terminate();
    this.#commands.close();
    for (const port of this.#setup ? portsOf(this.#setup) : []) port.close();
  }
}

function portsOf({ commands, logPort, metrics }: WorkerSetup): MessagePort[] {
  return [commands, metrics.ask, metrics.answer, ...logPort ? [logPort] : []];
}
