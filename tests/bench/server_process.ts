/**
 * A peer in its own process.
 *
 * @module
 */

import { TempFolder } from "../support/programs/temp_folder.ts";
import { eventually } from "../support/wait.ts";

/** Returns a port that is free now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Whether something listens at a port. */
export async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/** Returns the identifiers of a process and of its descendants. */
export async function processTree(pid: number): Promise<number[]> {
  const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  const pids = children.trim().split(" ").filter((text) => text !== "").map(Number);
  return [pid, ...(await Promise.all(pids.map(processTree))).flat()];
}

/** Command of a peer, and files that it reads from its own folder. */
export interface ServerCommand {
  command: readonly string[];
  /** Environment variables besides those of this process. */
  env?: Record<string, string>;
  /** Working folder. @default {its own} */
  cwd?: string;
  /** Files by name. */
  files?: Record<string, string>;
}

/** A process that listens at a port until disposed. */
export class ServerProcess implements AsyncDisposable {
  /** Port at which it listens. */
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #folder: TempFolder;
  readonly #collected: Promise<unknown>;
  #output = "";
  #ended = false;

  private constructor(
    port: number,
    folder: TempFolder,
    { command, env = {}, cwd = folder.path }: ServerCommand,
  ) {
    this.port = port;
    this.#folder = folder;
    this.#child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      cwd,
      env: { ...env, NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    void this.#child.status.then(() => this.#ended = true);
    this.#collected = Promise.all(
      [this.#child.stdout, this.#child.stderr].map(async (stream) => {
        for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#output += text;
      }),
    );
  }

  /** Starts a process in a folder of its own, and waits until it listens. */
  static async start(
    configure: (port: number, folder: string) => ServerCommand,
  ): Promise<ServerProcess> {
    const folder = new TempFolder();
    const port = freePort();
    const command = configure(port, folder.path);
    for (const [name, content] of Object.entries(command.files ?? {})) {
      await folder.write(name, content);
    }
    const server = new ServerProcess(port, folder, command);
    try {
      await eventually("the server listens", () => server.#ended || listens(port));
      if (server.#ended) throw new Error("It has ended");
      return server;
    } catch (cause) {
      await server[Symbol.asyncDispose]();
      throw new Error(`${command.command[0]} did not start: ${server.#output}`, { cause });
    }
  }

  /** Identifiers of the process and of its descendants. */
  pids(): Promise<number[]> {
    return processTree(this.#child.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Workers end with their parent, which they would not on SIGKILL.
    if (!this.#ended) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#child.status;
    clearTimeout(timer);
    await this.#collected;
    await this.#folder[Symbol.asyncDispose]();
  }
}
