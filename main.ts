/**
 * The program: reads the settings, opens the log, serves, and drains on a
 * signal.
 *
 * @module
 */

import { FUTURE_SETTING_NAMES, readConfig, SETTING_NAMES } from "./lib/config.ts";
import { RunnelError } from "./lib/errors.ts";
import { createService, type Service } from "./lib/service.ts";
import { prepareStorage } from "./lib/storage.ts";

/** A platform kills 5 seconds after its signal; by then all this is over. */
const PUBLISHES_MS = 2500;
const SHUTDOWN_MS = 4000;
const EXIT_MS = 4500;

async function start(): Promise<void> {
  const names = [...SETTING_NAMES, ...FUTURE_SETTING_NAMES];
  const config = readConfig(Object.fromEntries(names.map((name) => [name, Deno.env.get(name)])));
  const storage = await prepareStorage(config.kv);
  const { open, remote } = storage;
  const service = await createService({ config, open, watch: remote ? open : null });
  const server = serve(service, config.host, config.port);
  let draining = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      // Ctrl-C under `deno task` arrives twice.
      if (!draining) drain(service, server).finally(() => Deno.exit(0));
      draining = true;
    });
  }
}

function serve(service: Service, hostname: string, port: number): Deno.HttpServer {
  try {
    return Deno.serve({
      hostname,
      port,
      onListen: ({ hostname, port }) => {
        console.log(`Runnel listens on http://${hostname}:${port}/`);
      },
    }, service.fetch);
  } catch (cause) {
    const message = cause instanceof Deno.errors.AddrInUse
      ? `port ${port} is in use. Stop what uses it, or set PORT to another`
      : `HOST is "${hostname}" and PORT ${port}, which cannot be listened on. ` +
        "Set HOST to an address of this machine, or PORT to another port";
    throw new RunnelError("invalid-setting", `Cannot start: ${message}`, { cause });
  }
}

async function drain({ hub, log }: Service, server: Deno.HttpServer): Promise<void> {
  setTimeout(() => Deno.exit(0), EXIT_MS);
  await hub.drain(PUBLISHES_MS);
  // A client that does not read would hold the server for ever.
  const shutdown = new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS - PUBLISHES_MS));
  await Promise.race([server.shutdown(), shutdown]);
  await log.close();
}

if (import.meta.main) {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
