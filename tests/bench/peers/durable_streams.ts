/**
 * The server of Durable Streams on Node, which keeps streams in files.
 *
 * @module
 */

import { node, run } from "../../support/programs/workflow_package.ts";
import { ServerProcess } from "../../support/programs/server_process.ts";
import { PAYLOAD, type Peer, serverOf } from "./peer.ts";

/** Files of the program, and of its installation. */
const FILES = ["package.json", "package-lock.json", "server.js"];

/** Streams that are created before the load, since a client cannot subscribe to others. */
const STREAMS = 100;

/** Installs the program into a cache of this machine, and returns its folder. */
async function install(): Promise<string> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  const folder = `${cache}/runnel-bench/durable_streams`;
  await Deno.mkdir(folder, { recursive: true });
  for (const name of FILES) {
    const from = new URL(`./durable_streams/${name}`, import.meta.url);
    await Deno.copyFile(from, `${folder}/${name}`);
  }
  await run("npm", ["ci", "--silent", "--no-audit", "--no-fund"], folder);
  return folder;
}

let installed: Promise<string> | undefined;

/** Durable Streams. */
export const durableStreams: Peer = {
  name: "`@durable-streams/server`",
  word: "durable-streams",
  promises: "disk, synced for each append; order, resume",
  missing: node.isInstalled ? null : node.install,
  wire: {
    single: {
      subscribe: "/{pipeline}?offset=-1&live=sse",
      publish: "/{pipeline}",
      "publish-headers": "Content-Type: application/json",
      event: PAYLOAD,
      ready: "event: control",
    },
    batch: { before: "[", after: "]" },
  },
  async start() {
    installed ??= install();
    const program = `${await installed}/server.js`;
    const server = await ServerProcess.start((port, folder) => ({
      command: ["node", program, `${port}`, `${folder}/data`],
    }));
    const names = Array.from({ length: STREAMS }, (_, index) => `${index}`.padStart(6, "0"));
    for (const name of [...names, "gentle"]) {
      const response = await fetch(`http://127.0.0.1:${server.port}/p_${name}`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
      });
      await response.body?.cancel();
      if (response.status !== 201) throw new Error(`A stream is answered ${response.status}`);
    }
    return serverOf(server);
  },
};
