/**
 * Time from the start of a process to its first answer.
 *
 * @module
 */

import denoJson from "../../../deno.json" with { type: "json" };
import { DataFolder, startCommand } from "../../support/programs/program.ts";
import { handlerCommand } from "../peers/mod.ts";
import { ServerProcess } from "../../support/programs/server_process.ts";
import type { Sample } from "../statistics.ts";
import type { Work } from "../work.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** Starts a command, and measures the time until it answers, in milliseconds. */
async function measureStart(configure: (port: number) => string[]): Promise<Sample> {
  await using data = new DataFolder();
  await data.make(".");
  const start = performance.now();
  await using server = await ServerProcess.start((port) => ({
    command: configure(port),
    cwd: ROOT,
    env: { PORT: `${port}`, RUNNEL_KV: data.kv },
  }));
  const response = await fetch(`http://127.0.0.1:${server.port}/healthz`);
  await response.body?.cancel();
  if (!response.ok) throw new Error(`It answers ${response.status}`);
  return { ms: performance.now() - start };
}

/** Command of `deno task start`, whose last part takes the place of the shell. */
function taskCommand(): string {
  const parts = denoJson.tasks.start.split(" && ");
  return [...parts.slice(0, -1), `exec env ${parts.at(-1)}`].join(" && ");
}

/** Row (i). */
export function start(): Work {
  const entries = [
    { name: "Runnel", isRunnel: true, configure: () => startCommand() },
    {
      name: "Runnel, `deno task start`",
      isRunnel: true,
      configure: () => ["sh", "-c", taskCommand()],
    },
    {
      name: "one line of `Deno.serve`",
      isRunnel: false,
      configure: (port: number) => handlerCommand("one_line", port),
    },
  ];
  return {
    letter: "i",
    title: "Start of the process to its first answer, caches warm",
    columns: [{ value: "ms", heading: "ms" }],
    goals: [{ value: "ms", to: "one line", atMost: 2 }],
    entries: entries.map(({ configure, ...entry }) => ({
      ...entry,
      group: "",
      promises: "",
      missing: null,
      run: () => measureStart(configure),
    })),
  };
}
