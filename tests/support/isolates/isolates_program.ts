/**
 * The program with isolates that run a module of a test: the one that
 * `RUNNEL_ENTRY` names, beside this file.
 *
 * @module
 */

import { readConfig } from "../../../lib/config/config.ts";
import { startIsolates } from "../../../lib/service/isolates.ts";
import { prepareStorage } from "../../../lib/kv/storage.ts";

const config = readConfig({
  PORT: "0",
  RUNNEL_ISOLATES: "3",
  RUNNEL_KV: Deno.env.get("RUNNEL_KV"),
});
const server = await startIsolates({
  config,
  storage: await prepareStorage(config.kv),
  entry: new URL(Deno.env.get("RUNNEL_ENTRY")!, import.meta.url),
  onFailure: (message) => {
    console.error(message);
    Deno.exit(1);
  },
});
Deno.addSignalListener("SIGTERM", () => server.drain().finally(() => Deno.exit(0)));
console.log(`Runnel listens on http://127.0.0.1:${server.address.port}/`);
