/* @ts-self-types="../../client/shared.ts" */
// @ts-nocheck: built from lib/client/shared.ts by "deno task build".

import { SharedConnection } from "./shared_connection.js";

export { SubscribeError } from "./errors.js";

export function subscribe(
  url,
  options,
) {
  // The client itself tells a program without types what is missing.
  const given = options ?? {};
  return new SharedConnection(url, given, platformOf(given), findObstacle(given));
}

function findObstacle(options) {
  const { SharedWorker, navigator } = globalThis;
  if (options.fetch) return "It has a `fetch` of its own";
  if (options.getUrl) return "A ticket opens one stream";
  if (!options.worker && !SharedWorker) return "This browser has no shared workers";
  if (!navigator?.locks) return "This page has no Web Locks, which need HTTPS";
  return "";
}

function platformOf({ worker, clock, random, fetch }) {
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
    locks: globalThis.navigator?.locks,
    clock,
    random: random ?? Math.random,
    createName: () => `runnel-tab-${crypto.randomUUID()}`,
    fetch: fetch ?? ((url, init) => globalThis.fetch(url, init)),
    page: globalThis,
  };
}
