/**
 * The main module of the shared worker.
 *
 * @module
 */

import type { TabMessage } from "./shared_messages.ts";
import { SharedStreams } from "./shared_streams.ts";
import { subscribe } from "./subscribe.ts";

/** The part of a `SharedWorkerGlobalScope` that is used here. */
interface WorkerScope {
  onconnect: ((event: { ports: readonly MessagePort[] }) => void) | null;
  navigator: {
    locks: { request(name: string, use: () => Promise<void>): Promise<void> };
  };
}

const scope = globalThis as unknown as WorkerScope;
const { locks } = scope.navigator;
const streams = new SharedStreams({
  subscribe,
  clock: {
    now: () => Date.now(),
    after(ms, run) {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  },
});

/** Name of the lock that the worker holds until it is gone. */
const lock = `runnel-worker-${crypto.randomUUID()}`;
const isHeld = new Promise<void>((resolve) => {
  void locks.request(lock, () => {
    resolve();
    return new Promise<never>(() => {});
  });
});

scope.onconnect = ({ ports: [port] }) => {
  const tab = streams.connect(port!);
  port!.onmessage = async ({ data }: MessageEvent<TabMessage>) => {
    if (data.type !== "hello") return streams.take(tab, data);
    // It is granted when the tab is gone.
    void locks.request(data.lock, () => {
      streams.disconnect(tab);
      port!.close();
      return Promise.resolve();
    });
    await isHeld;
    tab.post({ type: "welcome", lock });
  };
};
