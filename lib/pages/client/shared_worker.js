/* @ts-self-types="../../client/shared_worker.ts" */
// @ts-nocheck: built from lib/client/shared_worker.ts by "deno task build".

import { SharedStreams } from "./shared_streams.js";
import { subscribe } from "./subscribe.js";

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

scope.onconnect = ({ ports: [port] }) => {
  const tab = streams.connect(port);
  port.onmessage = async ({ data }) => {
    if (data.type !== "hello") return streams.take(tab, data);
    // It is granted when the tab is gone.
    void locks.request(data.lock, () => {
      streams.disconnect(tab);
      port.close();
      return Promise.resolve();
    });
    await isHeld;
    tab.post({ type: "welcome", lock });
  };
};
