/* @ts-self-types="../../client/shared_worker.ts" */
// @ts-nocheck: built from lib/client/shared_worker.ts by "deno task build".

import { SharedStreams } from "./shared_streams.js";

import { subscribe } from "./subscribe.js";

const CHECK_MS = 5_000;

const scope = globalThis;
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

const lock = `runnel-worker-${crypto.randomUUID()}`;
const isHeld = new Promise((resolve) => {
  void locks.request(lock, () => {
    resolve();
    return new Promise(() => {});
  });
});

const tabs = new Map();

scope.onconnect = ({ ports: [port] }) => {
  const tab = streams.connect(port);
  port.onmessage = async ({ data }) => {
    if (data.type !== "hello") {
      if (data.type === "bye") tabs.delete(tab);
      return streams.take(tab, data);
    }
    tabs.set(tab, { lock: data.lock, port: port });
    await isHeld;
    tab.post({ type: "welcome", lock });
  };
};

async function removeGoneTabs() {
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
