/**
 * Runnel as users start it, at this commit and at earlier ones.
 *
 * @module
 */

import {
  commandOfTask,
  DataFolder,
  type Environment,
  Program,
} from "../../support/programs/program.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { processTree } from "../../support/programs/server_process.ts";
import { PAYLOAD, type Peer, type Server, type Wire } from "./peer.ts";

/** Settings that allow as many clients as the benchmark has. */
const LIMITS: Environment = {
  RUNNEL_MAX_SUBSCRIBERS: "15000",
  RUNNEL_MAX_PIPELINE_SUBSCRIBERS: "15000",
  RUNNEL_MAX_PIPELINES: "15000",
};

const WIRE: Wire = {
  single: {
    subscribe: "/pipelines/{pipeline}/sse",
    publish: "/ingest",
    "publish-headers": "Content-Type: application/json",
    event: `{"pipeline":"{pipeline}","channel":"bench","payload":${PAYLOAD}}`,
    ready: "runnel.live",
  },
  batch: { before: "[", after: "]" },
};

const PROMISES = "disk, order, resume";

/** Program as a server that forgets its data when it is disposed. */
export function serverOfProgram(program: Program, data: AsyncDisposable): Server {
  return {
    ports: [Number(new URL(program.url).port)],
    pids: () => processTree(program.pid),
    newest: (pipeline) => newestOf(program.url, pipeline),
    counts: () => countsOf(program.url),
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}

/** Sequence of the newest event, as the last ID of the history has it. */
async function newestOf(url: string, pipeline: string): Promise<number> {
  const { events } = await (await fetch(`${url}/pipelines/${pipeline}/events`)).json();
  return Number(events.at(-1)?.id.split("-").at(-1) ?? 0);
}

/** Commits and writes, by the histogram of the commits that shared a write. */
async function countsOf(url: string): Promise<{ commits: number; writes: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1]);
  return {
    commits: value("runnel_operation_commits_sum"),
    writes: value("runnel_operation_commits_count"),
  };
}

/** Runnel of this commit, on a file. */
export function runnel(name = "Runnel", settings: Environment = {}): Peer {
  return {
    name,
    word: "runnel",
    promises: PROMISES,
    missing: null,
    wire: WIRE,
    async start(others = {}) {
      const folder = new DataFolder();
      await folder.make(".");
      const program = await Program.start({
        ...LIMITS,
        RUNNEL_KV: folder.kv,
        ...settings,
        ...others,
      });
      return serverOfProgram(program, folder);
    },
  };
}

/** Copy of an earlier commit, in a folder of its own. */
export class EarlierCommit implements AsyncDisposable {
  readonly #folder: TempFolder = new TempFolder();
  readonly #revision: string;

  private constructor(revision: string) {
    this.#revision = revision;
  }

  /** Copies a commit. */
  static async copy(revision: string): Promise<EarlierCommit> {
    const commit = new EarlierCommit(revision);
    const { success, stderr } = await new Deno.Command("bash", {
      args: [
        ...["-c", 'set -o pipefail; git archive "$1" | tar -x -C "$2" 2> /dev/null'],
        ...["bash", revision, commit.#folder.path],
      ],
      cwd: new URL("../../../", import.meta.url),
    }).output();
    if (!success) {
      await commit[Symbol.asyncDispose]();
      const complaint = new TextDecoder().decode(stderr).trim();
      throw new Error(`Cannot copy the commit ${revision}: ${complaint}`);
    }
    return commit;
  }

  /** The commit as a peer. */
  peer(): Peer {
    const { path } = this.#folder;
    return {
      ...runnel(`Runnel at ${this.#revision}`),
      word: "base",
      start: async (settings = {}) => {
        const { tasks } = JSON.parse(await Deno.readTextFile(`${path}/deno.json`));
        const command = commandOfTask(tasks.start, Deno.execPath());
        const kv = `.data/bench-${crypto.randomUUID()}.sqlite`;
        await Deno.mkdir(`${path}/.data`, { recursive: true });
        const program = await Program.start(
          { ...LIMITS, RUNNEL_KV: kv, ...settings },
          command,
          path,
        );
        return serverOfProgram(program, new AsyncDisposableStack());
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
