/**
 * Servers of the benchmark itself: small handlers of the same runtime, and the trivial
 * server of the load generator, which shows the ceiling of the measurement.
 *
 * @module
 */

import type { Load } from "../load.ts";
import { ServerProcess } from "../../support/programs/server_process.ts";
import { PAYLOAD, type Peer, type Server, serverOf, type Wire } from "./peer.ts";

const WIRE: Wire = {
  single: { subscribe: "/{pipeline}", publish: "/{pipeline}", event: PAYLOAD },
  batch: { before: "[", after: "]" },
};

/** Command that runs a handler of `handlers/` at a port. */
export function handlerCommand(name: string, port: number): string[] {
  const path = (relative: string) => new URL(relative, import.meta.url).pathname;
  return [
    ...[Deno.execPath(), "run", "-q", "-A", "--no-check", "--frozen"],
    ...["--config", path("../../../deno.json"), `--lock=${path("../../deno.lock")}`],
    ...[path(`../handlers/${name}.ts`), `${port}`],
  ];
}

/** Starts a handler. */
async function startHandler(name: string): Promise<Server> {
  return serverOf(
    await ServerProcess.start((port) => ({ command: handlerCommand(name, port) })),
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

/** A handler of the runtime that gives each client a hundred events. */
export const history: Peer = {
  name: "trivial handler, the same bytes",
  word: "history",
  promises: "memory, order, no resume",
  missing: null,
  wire: { ...WIRE, batch: { separator: "\n" } },
  start: () => startHandler("history"),
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
