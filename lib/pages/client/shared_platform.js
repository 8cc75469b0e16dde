/* @ts-self-types="../../client/shared_platform.ts" */
// @ts-nocheck: built from lib/client/shared_platform.ts by "deno task build".

export function findObstacle(options) {
  const { SharedWorker, navigator } = globalThis;
  if (options.fetch) return "It has a `fetch` of its own";
  if (options.getUrl) return "A ticket opens one stream";
  if (!options.worker && !SharedWorker) return "This browser has no shared workers";
  if (!navigator?.locks) return "This page has no Web Locks, which need HTTPS";
  return "";
}

export function platformOf(
  { worker, clock, random, fetch },
) {
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
