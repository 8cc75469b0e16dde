/**
 * The main module of the shared worker.
 *
 * @module
 */

import type { TabMessage } from "./shared_messages.ts";
import { SharedStreams } from "./shared_streams.ts";
import type { Tab } from "./shared_tab.ts";
import { subscribe } from "./subscribe.ts";

/** Interval of checks whether tabs are gone, in milliseconds. */
const CHECK_MS = 5_000;

/** The part of a `SharedWorkerGlobalScope` that is used here. */
interface WorkerScope {
  onconnect: ((event: { ports: readonly MessagePort[] }) => void) | null;
  navigator: {
    locks: {
      request(name: string, use: () => Promise<void>): Promise<void>;
      query(): Promise<{ held: readonly { name: string }[] }>;
    };
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

/** Tabs, with their ports and the locks that they hold. */
const tabs = new Map<Tab, { lock: string; port: MessagePort }>();

scope.onconnect = ({ ports: [port] }) => {
  const tab = streams.connect(port!);
  port!.onmessage = async ({ data }: MessageEvent<TabMessage>) => {
    if (data.type !== "hello") {
      if (data.type === "bye") tabs.delete(tab);
      return streams.take(tab, data);
    }
    tabs.set(tab, { lock: data.lock, port: port! });
    await isHeld;
    tab.post({ type: "welcome", lock });
  };
};

/**
 * Removes the tabs that are gone. The worker does not request their locks: a browser does not keep
 * a page to come back to while somebody waits for its lock.
 */
async function removeGoneTabs(): Promise<void> {
  const { held } = await locks.query();
  const names = new Set(held.map(({ name }) => name));
  for (const [tab, { lock, port }] of tabs) {
    if (names.has(lock)) continue;
    tabs.delete(tab);
    streams.disconnect(tab);
    port.close();
  }
}
setInterval(removeGoneTabs, CHECK_MS);
