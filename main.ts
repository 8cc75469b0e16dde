/**
 * The program: reads the command line and the settings, starts the service, and
 * drains it on a signal.
 *
 * @module
 */

import manifest from "./deno.json" with { type: "json" };
import { runCommand } from "./lib/base/mod.ts";
import { type Config, describeConfig, readEnvironment } from "./lib/config/mod.ts";
import { type Server, start } from "./lib/service/mod.ts";

const USAGE = `Starts Runnel ${manifest.version}.

  deno task start [options]

  --port NUMBER   port to listen on; 0 chooses a free one (default: PORT, or 8000)
  --host ADDRESS  address to listen on (default: HOST, or 127.0.0.1)
  --kv PLACE      file, :memory: or URL of the log
                  (default: RUNNEL_KV, or .data/runnel.sqlite)
  --version       print the version
  -h, --help      print this help

Everything else is set by environment variables, which lib/config/README.md lists.`;

/** Lines that tell an operator what was started. */
function describe(config: Config, { hostname, port }: Server["address"]): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const scheme = config.tlsCert === null ? "http" : "https";
  const url = `${scheme}://${host}:${port}/`;
  return `Runnel ${manifest.version} listens on ${url}\n${describeConfig(config)}`;
}

async function serve(overrides: Record<string, string | undefined>): Promise<void> {
  const config = readEnvironment({ ...Deno.env.toObject(), ...overrides });
  const server = await start({ config, onFailure: fail });
  drainOnSignals(server);
  console.log(describe(config, server.address));
}

function drainOnSignals(server: Server): void {
  let draining = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      // Ctrl-C under `deno task` arrives twice.
      if (draining) return;
      draining = true;
      console.log(`${signal}: Runnel drains, within 5 seconds`);
      server.drain().finally(() => {
        console.log("Runnel has ended");
        Deno.exit(0);
      });
    });
  }
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}

// A Worker has a main module of its own, never this one.
if (import.meta.main) {
  const options = {
    port: { type: "string" },
    host: { type: "string" },
    kv: { type: "string" },
    version: { type: "boolean" },
  } as const;
  await runCommand({ usage: USAGE, options }, async ({ values: { version, port, host, kv } }) => {
    if (version) return console.log(manifest.version);
    await serve({
      ...port !== undefined && { PORT: port },
      ...host !== undefined && { HOST: host },
      ...kv !== undefined && { RUNNEL_KV: kv },
    });
  });
}
