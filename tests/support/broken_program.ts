/**
 * The program with isolates that end as their `RUNNEL_BREAK` says, once they
 * are asked for `/break`.
 *
 * @module
 */

import { startIsolates } from "../../lib/isolates.ts";
import { readConfig } from "../../lib/config.ts";
import { prepareStorage } from "../../lib/storage.ts";

const config = readConfig({
  PORT: "0",
  RUNNEL_ISOLATES: "3",
  RUNNEL_KV: Deno.env.get("RUNNEL_KV"),
});
const server = await startIsolates({
  config,
  storage: await prepareStorage(config.kv),
  entry: new URL(`./broken_isolate.ts?${Deno.env.get("RUNNEL_BREAK")}`, import.meta.url),
  onFailure: (message) => {
    console.error(message);
    Deno.exit(1);
  },
});
console.log(`Runnel listens on http://127.0.0.1:${server.address.port}/`);
