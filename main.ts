/**
 * The program: reads the settings, starts the service, and drains it on a signal.
 *
 * @module
 */

import { readConfig, SETTING_NAMES } from "./lib/config/mod.ts";
import { RunnelError, type Server, start } from "./lib/service/mod.ts";

async function run(): Promise<void> {
  const config = readConfig(
    Object.fromEntries(SETTING_NAMES.map((name) => [name, Deno.env.get(name)])),
  );
  const server = await start({ config, onFailure: fail });
  drainOnSignals(server);
  const { hostname, port } = server.address;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  console.log(`Runnel listens on http://${host}:${port}/`);
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
      server.drain().finally(() => Deno.exit(0));
    });
  }
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}

// A Worker has a main module of its own, never this one.
if (import.meta.main) {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    fail(error.message);
  }
}
