/**
 * What a Worker of {@linkcode startIsolates} runs: a service of its own, on the
 * port that all of them share.
 *
 * @module
 */

import { describeCause, RunnelError, systemRuntime } from "../base/mod.ts";
import { prepareStorage } from "../kv/mod.ts";
import { PipelineChannels } from "../sync/mod.ts";
import { CATCH_UP_MS, CONNECTIONS_MS, DrainDeadline, PUBLISHES_MS } from "./drain_timetable.ts";
import type { FromIsolate, IsolateSetup, ToIsolate } from "./isolates.ts";
import { reachStores } from "./remote_log.ts";
import { listen } from "./server.ts";
import { createServiceOn, openStores, type Stores } from "./service.ts";

/** This isolate as a Worker, which the types of a main module do not know. */
const worker = globalThis as unknown as {
  postMessage(message: FromIsolate): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  close(): void;
};
const tell = worker.postMessage.bind(worker);

function fail(event: Event, error: unknown): void {
  event.preventDefault();
  tell({ is: "failed", message: `An isolate failed: ${describeCause(error)}` });
}

worker.addEventListener("error", (event) => fail(event, (event as ErrorEvent).error));
worker.addEventListener(
  "unhandledrejection",
  (event) => fail(event, (event as PromiseRejectionEvent).reason),
);
// Otherwise nobody would hear of Deno.exit() …
worker.addEventListener("unload", () => tell({ is: "failed", message: "An isolate ended" }));
// … and of close(), which fires nothing.
worker.close = () => tell({ is: "failed", message: "An isolate ended" });

worker.addEventListener("message", async (event) => {
  const { config, port, signals, logPort } = (event as MessageEvent<IsolateSetup>).data;
  try {
    const storage = logPort ? null : await prepareStorage(config.kv);
    const stores: Stores = storage
      ? await openStores({ config, ...storage })
      : reachStores(logPort!, {
        runtime: systemRuntime,
        timeoutMs: config.kvTimeoutMs,
        maxWaitingBytes: config.maxWaitingBytes,
      });
    const channels = PipelineChannels.detect(systemRuntime);
    const watch = storage?.open ?? null;
    const service = createServiceOn(stores, { config, channels, watch });
    const listener = listen(service, { hostname: config.host, port }, { reusePort: true });
    const stop = Promise.withResolvers<void>();
    signals.onmessage = async ({ data }: MessageEvent<ToIsolate>) => {
      if (data === "stop") return stop.resolve();
      using connections = new DrainDeadline(service.runtime.clock, CONNECTIONS_MS);
      await service.hub.stopPublishing(PUBLISHES_MS);
      tell({ is: "publishing-stopped" });
      await stop.promise;
      await service.hub.catchUp(CATCH_UP_MS);
      await service.hub.close();
      await listener.close(connections);
      await service.log.close();
      tell({ is: "drained" });
    };
    tell({ is: "listening", address: listener.address });
  } catch (error) {
    if (error instanceof RunnelError) {
      tell({ is: "failed", type: error.type, message: error.message });
    } else fail(event, error);
  }
});
