/**
 * The program: reads the command line and the settings, starts the service, and
 * drains it on a signal.
 *
 * @module
 */

import manifest from "./deno.json" with { type: "json" };
import { isTextFormat, type LogFields, runCommand, type Runtime } from "./lib/base/mod.ts";
import { type Config, describeConfig, readEnvironment } from "./lib/config/mod.ts";
import { createRuntimeOf, type Server, start } from "./lib/service/mod.ts";

const USAGE = `Starts Runnel ${manifest.version}.

  deno task start [options]

  --port NUMBER   port to listen on; 0 chooses a free one (default: PORT, or 8000)
  --host ADDRESS  address to listen on (default: HOST, or 127.0.0.1)
  --kv PLACE      file, :memory: or URL of the log
                  (default: RUNNEL_KV, or .data/runnel.sqlite)
  --version       print the version
  -h, --help      print this help

Everything else is set by environment variables, which lib/config/README.md lists.`;

/** Tells an operator what happens: a record of the log, or plain lines for people. */
type Tell = (message: string, facts?: LogFields) => void;

function createTell({ logFormat }: Config, { clock, report }: Runtime): Tell {
  const isTerminal = Deno.stdout.isTerminal();
  if (!isTextFormat(logFormat, isTerminal)) {
    return (message, fields = {}) => report(message, undefined, { level: "info", fields });
  }
  return (message, facts = {}) => {
    const lines = Object.entries(facts).map(([name, value]) => `  ${name.padEnd(10)}${value}`);
    // On a terminal people see when it happens.
    const time = isTerminal ? "" : `${new Date(clock.now()).toISOString()} INFO  `;
    console.log([`${time}${message}`, ...lines].join("\n"));
  };
}

async function serve(overrides: Record<string, string | undefined>): Promise<void> {
  const environment = { ...Deno.env.toObject(), ...overrides };
  const config = readEnvironment(environment);
  const runtime = createRuntimeOf(config);
  const tell = createTell(config, runtime);
  const fail = (message: string) => {
    runtime.report(message, undefined, { level: "error" });
    Deno.exit(1);
  };
  const server = await start({ config, runtime, onFailure: fail });
  drainOnSignals(server, tell, runtime);
  const { hostname, port } = server.address;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const scheme = config.tlsCert === null ? "http" : "https";
  tell(
    `Runnel ${manifest.version} listens on ${scheme}://${host}:${port}/`,
    describeConfig(config, environment),
  );
}

function drainOnSignals(server: Server, tell: Tell, { clock }: Runtime): void {
  let draining = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      // Ctrl-C under `deno task` arrives twice.
      if (draining) return;
      draining = true;
      const began = clock.monotonic();
      tell(`${signal}: Runnel drains, within 5 seconds`);
      server.drain().finally(() => {
        tell("Runnel has ended", { seconds: Math.round(clock.monotonic() - began) / 1000 });
        Deno.exit(0);
      });
    });
  }
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
