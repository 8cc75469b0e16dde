/**
 * Serves over HTTP, and ends in time.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { Service } from "./service.ts";

/** A platform kills 5 seconds after its signal: until when publishes are awaited … */
const PUBLISHES_MS = 2500;

/** … and until when connections are, in milliseconds after the signal. */
const SHUTDOWN_MS = 4000;

/** Where to listen. */
export interface Address {
  /** The address. */
  hostname: string;
  /** The port, 0 for any that is free. */
  port: number;
}

/** A service that is served. */
export interface Server {
  /** Where it listens. */
  address: Address;
  /** Ends it as {@linkcode Hub.drain} does, and then its connections and its log. */
  drain: (others?: () => Promise<unknown>) => Promise<void>;
}

/**
 * Serves.
 *
 * @param service What is served.
 * @param address Where.
 * @param reusePort Whether other isolates may serve there too.
 * @throws {RunnelError} `invalid-setting` if that is no place to listen at.
 *
 * @example
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 * import { createService } from "./service.ts";
 *
 * const config = readConfig({});
 * const service = await createService({ config, open: () => Deno.openKv(":memory:") });
 * const server = serve(service, { hostname: "127.0.0.1", port: 0 });
 * await (await fetch(`http://127.0.0.1:${server.address.port}/healthz`)).body?.cancel();
 * await server.drain();
 * ```
 */
export function serve(service: Service, address: Address, reusePort = false): Server {
  const { hub, log } = service;
  const server = explained(
    address,
    () => Deno.serve({ ...address, reusePort, onListen() {} }, service.fetch),
  );
  return {
    address: { hostname: server.addr.hostname, port: server.addr.port },
    async drain(others) {
      await hub.drain(PUBLISHES_MS, others);
      // A client that does not read would hold the server for ever.
      let timer;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, SHUTDOWN_MS - PUBLISHES_MS);
      });
      await Promise.race([server.shutdown(), late]);
      clearTimeout(timer);
      await log.close();
    },
  };
}

/**
 * Makes sure that nobody else listens there: isolates that share a port would
 * share it with a stranger too.
 *
 * @param address Where.
 * @throws {RunnelError} `invalid-setting` if that is no place to listen at.
 *
 * @example
 * ```ts
 * probe({ hostname: "127.0.0.1", port: 0 });
 * ```
 */
export function probe(address: Address): void {
  explained(address, () => Deno.listen(address)).close();
}

function explained<T>({ hostname, port }: Address, listen: () => T): T {
  try {
    return listen();
  } catch (cause) {
    const message = cause instanceof Deno.errors.AddrInUse
      ? `port ${port} is in use. Stop what uses it, or set PORT to another`
      : `HOST is "${hostname}" and PORT ${port}, which cannot be listened on. ` +
        "Set HOST to an address of this machine, or PORT to another port";
    throw new RunnelError("invalid-setting", `Cannot start: ${message}`, { cause });
  }
}
