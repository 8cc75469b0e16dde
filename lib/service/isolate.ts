/**
 * Main module of a Worker of {@linkcode startIsolates}: a service on the port that
 * all isolates share.
 *
 * @module
 */

import { delay, describeCause, RunnelError } from "../base/mod.ts";
import { prepareStorage } from "../kv/mod.ts";
import { exportMetrics } from "../telemetry/mod.ts";
import { PipelineChannels } from "../sync/mod.ts";
import {
  CATCH_UP_MS,
  CONNECTIONS_MS,
  DrainDeadline,
  LAST_REQUESTS_MS,
  PUBLISHES_MS,
} from "./drain_timetable.ts";
import { reachGatherer } from "./metrics_gatherer.ts";
import { reachStores } from "./remote_log.ts";
import { listen } from "./server.ts";
import { createRuntimeOf } from "./runtime.ts";
import { createServiceOn } from "./service.ts";
import { openStores, type Stores } from "./stores.ts";
import type { WorkerCommand, WorkerMessage, WorkerSetup } from "./serving_worker.ts";

/** This isolate as a Worker, which the types of a main module do not know. */
const worker = globalThis as unknown as {
  postMessage(message: WorkerMessage): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  close(): void;
};
const post = worker.postMessage.bind(worker);

function fail(event: Event, error: unknown): void {
  event.preventDefault();
  post({ type: "failed", message: `An isolate failed: ${describeCause(error)}` });
}

worker.addEventListener("error", (event) => fail(event, (event as ErrorEvent).error));
worker.addEventListener(
  "unhandledrejection",
  (event) => fail(event, (event as PromiseRejectionEvent).reason),
);
// Otherwise Deno.exit() would end this isolate without a message …
worker.addEventListener("unload", () => post({ type: "failed", message: "An isolate ended" }));
// … and so would close(), which fires no event.
worker.close = () => post({ type: "failed", message: "An isolate ended" });

worker.addEventListener("message", async (event) => {
  const { config, port, pair, commands, logPort, metrics: ports, isolate, canary } =
    (event as MessageEvent<WorkerSetup>).data;
  const runtime = createRuntimeOf(config, isolate);
  try {
    const storage = logPort ? null : await prepareStorage(config.kv, runtime);
    const stores: Stores = storage
      ? await openStores({ config, runtime, ...storage, upkeep: true })
      : reachStores(logPort!, {
        runtime,
        timeoutMs: config.kvTimeoutMs,
        maxWaitingBytes: config.maxWaitingBytes,
      });
    exportMetrics(stores.metrics, String(isolate));
    const service = createServiceOn(stores, {
      config,
      runtime,
      canary,
      gather: reachGatherer(ports, stores.metrics, runtime.clock),
      channels: PipelineChannels.detect(runtime),
      watch: storage?.open ?? null,
    });
    const { hub, log } = service;
    const { clock } = runtime;
    const listener = listen(service, { hostname: config.host, port }, {
      pair,
      reusePort: true,
    });
    const stop = Promise.withResolvers<void>();
    commands.onmessage = async ({ data }: MessageEvent<WorkerCommand>) => {
      if (data === "stop") return stop.resolve();
      if (data !== "drain") return listener.renew(data);
      using connections = new DrainDeadline(clock, CONNECTIONS_MS);
      const lastRequests = delay(clock, LAST_REQUESTS_MS);
      await hub.stopPublishing(PUBLISHES_MS);
      post({ type: "publishing-stopped" });
      await stop.promise;
      await hub.catchUp(CATCH_UP_MS);
      await hub.close();
      await lastRequests;
      await listener.close(connections);
      await log.close();
      post({ type: "drained" });
    };
    post({ type: "listening", address: listener.address });
  } catch (error) {
    if (error instanceof RunnelError) {
      post({ type: "failed", errorType: error.type, message: error.message });
    } else fail(event, error);
  }
});

post({ type: "ready" });
