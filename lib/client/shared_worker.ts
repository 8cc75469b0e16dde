/**
 * The main module of the shared worker.
 *
 * @module
 */

import { systemClock } from "./system_clock.ts";
import { SharedPorts } from "./shared_ports.ts";
import { SharedStreams } from "./shared_streams.ts";
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

/** Name of the lock that the worker holds until it is gone. */
const lock = new Promise<string>((resolve) => {
  const name = `runnel-worker-${crypto.randomUUID()}`;
  void locks.request(name, () => {
    resolve(name);
    return new Promise<never>(() => {});
  });
});

const ports = new SharedPorts(new SharedStreams({ subscribe, clock: systemClock }), lock);

scope.onconnect = ({ ports: [port] }) => ports.connect(port!);

setInterval(async () => {
  const { held } = await locks.query();
  ports.removeGone(new Set(held.map(({ name }) => name)));
}, CHECK_MS);
