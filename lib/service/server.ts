/**
 * A service on a port, which ends in time.
 *
 * @module
 */

import { delay, RunnelError } from "../base/mod.ts";
import { measureLoopDelay } from "../telemetry/mod.ts";
import { AcceptingServer } from "./accepting_server.ts";
import type { KeyPair } from "./certificate.ts";
import type { CertificateFiles } from "./certificate_files.ts";
import {
  CONNECTIONS_MS,
  DrainDeadline,
  LAST_REQUESTS_MS,
  PUBLISHES_MS,
} from "./drain_timetable.ts";
import type { Service } from "./service.ts";

/** Address to listen at. */
export interface Address {
  /** Name or IP address of a network interface. */
  hostname: string;
  /** The port; 0 for any that is free. */
  port: number;
}

/** A service that is served. */
export interface Server {
  /** Address at which it listens. */
  address: Address;
  /**
   * Ends it in time for a platform that kills 5 seconds after its signal: refuses
   * new work, waits for publishes in flight, ends every stream with its last
   * events, waits for the connections, and closes the log.
   */
  drain: () => Promise<void>;
}

/** An HTTP server of one isolate, whose connections end after its streams. */
export interface Listener {
  /** Address at which it listens. */
  address: Address;
  /** Uses another certificate for the connections from now on. */
  renew: (pair: KeyPair) => void;
  /**
   * Waits for the open connections, but not beyond a deadline: a client that does
   * not read would hold them forever.
   */
  close: (deadline: DrainDeadline) => Promise<void>;
}

/**
 * Serves a service.
 *
 * @param service Service to serve.
 * @param address Address to listen at.
 * @param certificate Certificate for HTTPS, which the caller disposes of; none for HTTP.
 * @throws {RunnelError} `invalid-setting` if it cannot listen there.
 *
 * @example Usage
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
export function serve(
  service: Service,
  address: Address,
  certificate: CertificateFiles | null = null,
): Server {
  const { hub, log, runtime: { clock } } = service;
  // A listener that follows with another certificate shares the port for a moment.
  if (certificate) assertPortFree(address);
  const options = { pair: certificate?.pair ?? null, reusePort: certificate !== null };
  const listener = listen(service, address, options);
  if (certificate) certificate.onRenewed = listener.renew;
  return {
    address: listener.address,
    async drain() {
      using connections = new DrainDeadline(clock, CONNECTIONS_MS);
      const lastRequests = delay(clock, LAST_REQUESTS_MS);
      await hub.stopPublishing(PUBLISHES_MS);
      await hub.close();
      await lastRequests;
      await listener.close(connections);
      await log.close();
    },
  };
}

/** Options for {@linkcode listen}. */
export interface ListenOptions {
  /** Certificate for HTTPS; `null` for HTTP. @default {null} */
  pair?: KeyPair | null;
  /** Whether other listeners may share the port. @default {false} */
  reusePort?: boolean;
  /** Setting that has the port, for errors. @default {"PORT"} */
  setting?: string;
}

/**
 * Answers requests at an address, which isolates may share.
 *
 * @throws {RunnelError} `invalid-setting` if it cannot listen there.
 */
export function listen(
  { fetch, runtime, metrics }:
    & Pick<Service, "fetch" | "runtime">
    & Partial<Pick<Service, "metrics">>,
  { hostname, port }: Address,
  { pair = null, reusePort = false, setting = "PORT" }: ListenOptions = {},
): Listener {
  const server = withSetupHint({ hostname, port, setting }, () =>
    new AcceptingServer({
      address: { hostname, port, reusePort },
      pair,
      handler: fetch,
      runtime,
      onFailure: () => metrics?.acceptFailures.add(),
    }));
  const loopDelay = metrics && measureLoopDelay(metrics, runtime.clock);
  return {
    address: server.address,
    renew: (pair) => server.renew(pair),
    async close(deadline) {
      loopDelay?.[Symbol.dispose]();
      if (await deadline.wait(server.close())) return;
      runtime.report(
        "Leaves connections open at the end of the drain: their clients did not read or send in time",
      );
    },
  };
}

/**
 * Throws if the port is in use: isolates that share a port would share it with a
 * stranger, too.
 *
 * @throws {RunnelError} `invalid-setting` if it cannot listen there.
 */
export function assertPortFree(address: Address): void {
  withSetupHint({ ...address, setting: "PORT" }, () => Deno.listen(address)).close();
}

/** Adds the remedy to an error of listening. */
function withSetupHint<T>(
  { hostname, port, setting }: Address & { setting: string },
  listen: () => T,
): T {
  try {
    return listen();
  } catch (cause) {
    const message = cause instanceof Deno.errors.AddrInUse
      ? `port ${port} is in use. Stop what uses it, or set ${setting} to another`
      : `HOST is "${hostname}" and ${setting} ${port}, which cannot be listened on. ` +
        `Set HOST to an address of this machine, or ${setting} to another port`;
    throw new RunnelError("invalid-setting", `Cannot start: ${message}`, { cause });
  }
}
