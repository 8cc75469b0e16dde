/**
 * Several isolates of one process on one port. If the log is a file, this isolate
 * owns it, appends for all, and serves no requests itself: if each isolate wrote
 * to the file, they would contend for every commit, and some would starve.
 *
 * @module
 */

import type { CanaryIdentity } from "../access/mod.ts";
import type { Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { KvStorage } from "../kv/mod.ts";
import { createMetrics, measureLoopDelay, type Metrics } from "../telemetry/mod.ts";
import type { CertificateFiles } from "./certificate_files.ts";
import { DrainDeadline, ISOLATES_MS, ISOLATES_STOP_PUBLISHING_MS } from "./drain_timetable.ts";
import { LogOwner } from "./log_owner.ts";
import { MetricsGatherer } from "./metrics_gatherer.ts";
import { type Address, assertPortFree, type Server } from "./server.ts";
import { createRuntimeOf } from "./runtime.ts";
import { openStores } from "./stores.ts";
import { ServingWorker } from "./serving_worker.ts";

/** Options for {@linkcode startIsolates}. */
export interface IsolatesOptions {
  /** The settings. */
  config: Config;
  /** Storage of the log. */
  storage: KvStorage;
  /** Called with a line for the operator if an isolate ends by itself: the process must exit. */
  onFailure: (message: string) => void;
  /** The surroundings of this isolate. @default {createRuntimeOf(config)} */
  runtime?: Runtime;
  /** Metrics of this isolate. By default, new ones. */
  metrics?: Metrics;
  /** Identity of the instance's own canary. @default {null} */
  canary?: CanaryIdentity | null;
  /** Certificate for HTTPS, which the caller disposes of. @default {null} */
  certificate?: CertificateFiles | null;
  /** Main module of each isolate. @default {`isolate.ts`} */
  entry?: URL;
}

/**
 * Starts the isolates.
 *
 * @param options The settings, the storage, and the handler of a failure.
 * @returns The server that the isolates are together.
 * @throws {RunnelError} `invalid-setting` if they cannot listen at the address,
 *   `storage-unusable` if the store cannot be opened.
 * @throws {Error} If an isolate fails in another way before it listens.
 *
 * @example Usage
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
export async function startIsolates({
  config,
  storage,
  onFailure,
  runtime = createRuntimeOf(config),
  metrics = createMetrics(),
  canary = null,
  certificate = null,
  entry = new URL("./isolate.ts", import.meta.url),
}: IsolatesOptions): Promise<Server> {
  assertPortFree({ hostname: config.host, port: config.port });
  const owner = storage.remote ? null : new LogOwner(
    await openStores({ config, runtime, ...storage, upkeep: true, metrics }),
    runtime,
  );
  const gatherer = new MetricsGatherer(metrics, runtime.clock);
  const loopDelay = measureLoopDelay(metrics, runtime.clock);
  const workers: ServingWorker[] = [];
  const start = (port: number) => {
    const worker = new ServingWorker(entry, {
      config,
      port,
      pair: certificate?.pair ?? null,
      logPort: owner?.serve() ?? null,
      metrics: gatherer.add(),
      isolate: workers.length + 1,
      canary,
    });
    workers.push(worker);
    return worker.listening;
  };
  const terminate = async () => {
    for (const worker of workers) worker.terminate();
    gatherer.close();
    loopDelay[Symbol.dispose]();
    await owner?.close();
  };
  let address: Address;
  try {
    // The first one chooses the port if none is set.
    address = await start(config.port);
    await Promise.all(Array.from({ length: config.isolates - 1 }, () => start(address.port)));
  } catch (error) {
    await terminate();
    throw error;
  }
  if (certificate) {
    certificate.onRenewed = (pair) => {
      for (const worker of workers) worker.post(pair);
    };
  }
  let isDraining = false;
  for (const { failed } of workers) {
    failed.then((message) => {
      if (!isDraining) onFailure(message);
    });
  }
  return {
    address,
    async drain() {
      isDraining = true;
      using publishing = new DrainDeadline(runtime.clock, ISOLATES_STOP_PUBLISHING_MS);
      using ending = new DrainDeadline(runtime.clock, ISOLATES_MS);
      const all = (step: "publishingStopped" | "drained") =>
        Promise.all(workers.map((worker) => Promise.race([worker[step], worker.failed])));
      for (const worker of workers) worker.post("drain");
      await publishing.wait(all("publishingStopped"));
      for (const worker of workers) worker.post("stop");
      await ending.wait(all("drained"));
      await terminate();
    },
  };
}
