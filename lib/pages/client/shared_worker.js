/* @ts-self-types="../../client/shared_worker.ts" */
// @ts-nocheck: built from lib/client/shared_worker.ts by "deno task build".

import { systemClock } from "./system_clock.js";
import { SharedPorts } from "./shared_ports.js";
import { SharedStreams } from "./shared_streams.js";
import { subscribe } from "./subscribe.js";

const CHECK_MS = 5_000;

const scope = globalThis;
const { locks } = scope.navigator;

const lock = new Promise((resolve) => {
  const name = `runnel-worker-${crypto.randomUUID()}`;
  void locks.request(name, () => {
    resolve(name);
    return new Promise(() => {});
  });
});

const ports = new SharedPorts(new SharedStreams({ subscribe, clock: systemClock }), lock);

scope.onconnect = ({ ports: [port] }) => ports.connect(port);

setInterval(async () => {
  const { held } = await locks.query();
  ports.removeGone(new Set(held.map(({ name }) => name)));
}, CHECK_MS);
