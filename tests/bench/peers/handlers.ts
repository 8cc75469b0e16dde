/**
 * Servers of the benchmark itself: small handlers of the same runtime, and the trivial
 * server of the load generator, which shows the ceiling of the measurement.
 *
 * @module
 */

import type { Load } from "../load.ts";
import { ServerProcess } from "../server_process.ts";
import { PAYLOAD, type Peer, type Server, serverOf, type Wire } from "./peer.ts";

const WIRE: Wire = {
  single: { subscribe: "/{pipeline}", publish: "/{pipeline}", event: PAYLOAD },
  batch: { before: "[", after: "]" },
};

/** Starts a handler of `handlers/`, by its name. */
export async function startHandler(name: string): Promise<Server> {
  const module = new URL(`../handlers/${name}.ts`, import.meta.url).href;
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const lock = new URL("../../deno.lock", import.meta.url).pathname;
  return serverOf(
    await ServerProcess.start((port) => ({
      command: [
        ...[Deno.execPath(), "run", "-q", "-A", "--no-check"],
        ...["--config", config, `--lock=${lock}`, "--frozen", module, `${port}`],
      ],
    })),
  );
}

/** A handler of the runtime that enqueues to all. */
export const bare: Peer = {
  name: "bare `Deno.serve`",
  word: "bare",
  promises: "nothing kept, order, no resume",
  missing: null,
  wire: WIRE,
  start: () => startHandler("bare"),
};

/** A handler of hono. */
export const honoStream: Peer = {
  name: "hono `streamSSE`",
  word: "hono",
  promises: "nothing kept, no resume",
  missing: null,
  wire: WIRE,
  start: () => startHandler("hono_stream"),
};

/** The trivial server in Rust. */
export function ceiling({ path }: Load): Peer {
  return {
    name: "ceiling: trivial server in Rust",
    word: "ceiling",
    promises: "nothing kept, order, no resume",
    missing: null,
    wire: WIRE,
    start: async () =>
      serverOf(
        await ServerProcess.start((port) => ({ command: [path, "serve", "--port", `${port}`] })),
      ),
  };
}
