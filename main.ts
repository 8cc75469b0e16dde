/**
 * The program: reads the settings, opens the log, serves, and drains on a
 * signal.
 *
 * @module
 */

import { RunnelError } from "./lib/base/mod.ts";
import { readConfig, SETTING_NAMES } from "./lib/config/mod.ts";
import { prepareStorage } from "./lib/kv/mod.ts";
import { createService, EXIT_MS, serve, type Server, startIsolates } from "./lib/service/mod.ts";

async function start(): Promise<void> {
  const config = readConfig(
    Object.fromEntries(SETTING_NAMES.map((name) => [name, Deno.env.get(name)])),
  );
  const storage = await prepareStorage(config.kv);
  const server = config.isolates > 1
    ? await startIsolates({ config, storage, onFailure: fail })
    : serve(
      await createService({ config, ...storage, watch: storage.remote ? storage.open : null }),
      { hostname: config.host, port: config.port },
    );
  drainOnSignals(server);
  const { hostname, port } = server.address;
  console.log(`Runnel listens on http://${hostname}:${port}/`);
  if (config.access.allowsAnonymous) {
    console.log(
      "No secret is set: everyone on this machine may publish and listen. " +
        "Set RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SECRET to change that.",
    );
  }
}

function drainOnSignals(server: Server): void {
  let draining = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      // Ctrl-C under `deno task` arrives twice.
      if (draining) return;
      draining = true;
      setTimeout(() => Deno.exit(0), EXIT_MS);
      server.drain().finally(() => Deno.exit(0));
    });
  }
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}

// A Worker's main module is its own, never this one.
if (import.meta.main) {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    fail(error.message);
  }
}
