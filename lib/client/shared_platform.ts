/**
 * The parts of a browser that tabs share a stream by.
 *
 * @module
 */

import type { LocksLike } from "./shared_link.ts";
import type { SharedSubscribeOptions, SharedWorkerLike } from "./shared_types.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** The class of the browser, which Deno does not have. */
declare const SharedWorker: new (
  url: string | URL,
  options: { type: "module"; name: string },
) => SharedWorkerLike;

/** Parts of the platform. */
export interface SharedPlatform {
  /** Starts the worker, or connects to the one that runs. */
  createWorker: () => SharedWorkerLike;
  /** Locks of the origin; missing if the stream cannot be shared. */
  locks: LocksLike | undefined;
  clock: ClientClock | undefined;
  /** Returns a number from 0 up to 1. */
  random: () => number;
  /** Returns a name that nobody else has. */
  createName: () => string;
  /** Sends a request to the service. */
  fetch: (url: URL, init: RequestInit) => Promise<Response>;
  /** Target of `pagehide` and `pageshow`. */
  page: Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;
}

/** Returns the reason for which a stream cannot be shared; empty if there is none. */
export function findObstacle(options: SharedSubscribeOptions): string {
  const { SharedWorker, navigator } = globalThis as {
    SharedWorker?: unknown;
    navigator?: { locks?: unknown };
  };
  if (options.fetch) return "It has a `fetch` of its own";
  if (options.getUrl) return "A ticket opens one stream";
  if (!options.worker && !SharedWorker) return "This browser has no shared workers";
  if (!navigator?.locks) return "This page has no Web Locks, which need HTTPS";
  return "";
}

/** Returns the parts of the browser, or those of the options. */
export function platformOf(
  { worker, clock, random, fetch }: SharedSubscribeOptions,
): SharedPlatform {
  return {
    createWorker() {
      if (typeof worker === "function") return worker();
      if (worker) return new SharedWorker(worker, { type: "module", name: "runnel-1" });
      // Written as bundlers look for it.
      return new SharedWorker(new URL("./shared_worker.js", import.meta.url), {
        type: "module",
        name: "runnel-1",
      });
    },
    locks: (globalThis.navigator as unknown as { locks: LocksLike } | undefined)?.locks,
    clock,
    random: random ?? Math.random,
    createName: () => `runnel-tab-${crypto.randomUUID()}`,
    fetch: fetch ?? ((url, init) => globalThis.fetch(url, init)),
    page: globalThis,
  };
}
