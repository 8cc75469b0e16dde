/**
 * Several isolates of one process on one port. Where the log is a file, this
 * isolate owns it, appends for all, and serves no requests itself: writers of
 * their own would contend for every commit, and some would starve.
 *
 * @module
 */

import { RunnelError, type RunnelErrorType, systemRuntime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { KvStorage } from "../kv/mod.ts";
import { HeadAnnouncer, type LogListener } from "../log/mod.ts";
import { PipelineChannels } from "../sync/mod.ts";
import { DrainDeadline, ISOLATES_MS, ISOLATES_STOP_PUBLISHING_MS } from "./drain_timetable.ts";
import { serveStores } from "./remote_log.ts";
import { type Address, probe, type Server } from "./server.ts";
import { openStores, type Stores } from "./service.ts";

/** What an isolate needs to begin. */
export interface IsolateSetup {
  /** The settings. */
  config: Config;
  /** The port to share, 0 for the first isolate to choose one. */
  port: number;
  /** Where it hears {@linkcode ToIsolate}. */
  signals: MessagePort;
  /** The way to the log, where another isolate owns it. */
  logPort: MessagePort | null;
}

/** What an isolate is told: to drain, and that no isolate publishes any more. */
export type ToIsolate = "drain" | "stop";

/** What an isolate tells. */
export type FromIsolate =
  | { is: "listening"; address: Address }
  | { is: "publishing-stopped" }
  | { is: "drained" }
  /** With a type where its start was refused as it may be. */
  | { is: "failed"; type?: RunnelErrorType; message: string };

/** How isolates are started. */
export interface IsolatesOptions {
  /** The settings. */
  config: Config;
  /** Where the log is. */
  storage: KvStorage;
  /** Hears that an isolate ended by itself: the process is of no use then. */
  onFailure: (message: string) => void;
  /** What each isolate runs: `isolate.ts` by default. */
  entry?: URL;
}

/**
 * Starts the isolates.
 *
 * @param options How.
 * @returns What they are together.
 * @throws {RunnelError} As {@linkcode serve}, or as opening the store does.
 * @throws {Error} If an isolate fails in another way before it listens.
 *
 * @example
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 * import { prepareStorage } from "../kv/mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const RUNNEL_KV = `${folder}/runnel.sqlite`;
 * const config = readConfig({ RUNNEL_ISOLATES: "2", RUNNEL_KV, PORT: "0" });
 * using storage = await prepareStorage(config.kv);
 * const server = await startIsolates({ config, storage, onFailure: console.error });
 * await (await fetch(`http://127.0.0.1:${server.address.port}/healthz`)).body?.cancel();
 * await server.drain();
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function startIsolates(
  { config, storage, onFailure, entry = new URL("./isolate.ts", import.meta.url) }: IsolatesOptions,
): Promise<Server> {
  probe({ hostname: config.host, port: config.port });
  const owner = storage.remote ? null : new Owner(await openStores({ config, ...storage }));
  const isolates: Isolate[] = [];
  const start = (port: number) => {
    const isolate = new Isolate(entry, { config, port, logPort: owner?.serve() ?? null });
    isolates.push(isolate);
    return isolate.listening;
  };
  let draining = false;
  const end = async () => {
    for (const isolate of isolates) isolate.end();
    await owner?.close();
  };
  let address: Address;
  try {
    // The first one chooses the port where none is set.
    address = await start(config.port);
    await Promise.all(Array.from({ length: config.isolates - 1 }, () => start(address.port)));
  } catch (error) {
    await end();
    throw error;
  }
  for (const { failed } of isolates) {
    failed.then((message) => {
      if (!draining) onFailure(message);
    });
  }
  return {
    address,
    async drain() {
      draining = true;
      using publishing = new DrainDeadline(systemRuntime.clock, ISOLATES_STOP_PUBLISHING_MS);
      using ending = new DrainDeadline(systemRuntime.clock, ISOLATES_MS);
      const all = (step: "publishingStopped" | "drained") =>
        Promise.all(isolates.map((isolate) => Promise.race([isolate[step], isolate.failed])));
      for (const isolate of isolates) isolate.tell("drain");
      await publishing.wait(all("publishingStopped"));
      for (const isolate of isolates) isolate.tell("stop");
      await ending.wait(all("drained"));
      await end();
    },
  };
}

/** The log of all isolates. */
class Owner {
  readonly #stores: Stores;
  readonly #ports: MessagePort[] = [];
  /** The other isolates, by their ports, which lose nothing. */
  readonly #listeners: LogListener[] = [];
  readonly #channels = PipelineChannels.detect(systemRuntime);
  readonly #announcer = new HeadAnnouncer({
    runtime: systemRuntime,
    announce: (heads) => {
      for (const { onHeads } of this.#listeners) onHeads(heads);
    },
  });

  constructor(stores: Stores) {
    this.#stores = stores;
    stores.log.listen({
      onChange: (change) => {
        if (this.#channels) {
          this.#channels.post(change);
          this.#announcer.add(change);
        } else {
          // A runtime without broadcasts: every port gets every change.
          for (const { onChange } of this.#listeners) onChange(change);
        }
      },
      onHeads() {},
    });
  }

  /** Serves the log to one more isolate, and returns the way for it. */
  serve(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports.push(port1);
    this.#listeners.push(serveStores(port1, this.#stores));
    return port2;
  }

  async close(): Promise<void> {
    await this.#stores.log.close();
    this.#announcer[Symbol.dispose]();
    this.#channels?.[Symbol.dispose]();
    for (const port of this.#ports) port.close();
  }
}

/** A Worker that serves. */
class Isolate {
  readonly #worker: Worker;
  readonly #signals: MessagePort;
  readonly #publishingStopped = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<string>();
  readonly #listening = Promise.withResolvers<Address>();

  constructor(entry: URL, setup: Omit<IsolateSetup, "signals">) {
    const { port1, port2 } = new MessageChannel();
    this.#signals = port1;
    this.#worker = new Worker(entry, { type: "module", name: "runnel" });
    this.#worker.onmessage = ({ data }: MessageEvent<FromIsolate>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#hear({ is: "failed", message: `An isolate failed: ${event.message}` });
    };
    const transfer = setup.logPort ? [port2, setup.logPort] : [port2];
    this.#worker.postMessage({ ...setup, signals: port2 } satisfies IsolateSetup, transfer);
  }

  /** Where it listens; rejects where it cannot. */
  get listening(): Promise<Address> {
    return this.#listening.promise;
  }

  /** Resolves once nothing is published through it any more. */
  get publishingStopped(): Promise<void> {
    return this.#publishingStopped.promise;
  }

  /** Resolves once it has ended as it was told to. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  /** Resolves with a line for the operator once it ended by itself. */
  get failed(): Promise<string> {
    return this.#failed.promise;
  }

  #hear(said: FromIsolate): void {
    if (said.is === "listening") return this.#listening.resolve(said.address);
    if (said.is === "publishing-stopped") return this.#publishingStopped.resolve();
    if (said.is === "drained") return this.#drained.resolve();
    const { type, message } = said;
    this.#listening.reject(type ? new RunnelError(type, message) : new Error(message));
    this.#failed.resolve(message);
  }

  tell(what: ToIsolate): void {
    this.#signals.postMessage(what);
  }

  end(): void {
    this.#worker.terminate();
    this.#signals.close();
  }
}
