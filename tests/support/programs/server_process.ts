/**
 * A program of others that listens at a port, in its own process.
 *
 * @module
 */

import { TempFolder } from "./temp_folder.ts";
import { eventually } from "../wait.ts";

/** Time for a program to end by itself before it is killed, in milliseconds. */
const END_MS = 10_000;

/** Ports below those that the system gives to connections, one of which may take a port first. */
const [FIRST_PORT, LAST_PORT] = [10_000, 32_000];

/** Returns a port that is free now. */
export function freePort(): number {
  while (true) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
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

/** Command of a program, and files that it reads from its own folder. */
export interface ServerCommand {
  command: readonly string[];
  /** Environment variables besides those of this process. */
  env?: Record<string, string>;
  /** Working folder. @default {its own} */
  cwd?: string;
  /** Files by name. */
  files?: Record<string, string>;
  /** Name of a file with its errors, for the message if it does not start. */
  log?: string;
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
      const log = command.log === undefined
        ? ""
        : await Deno.readTextFile(`${folder.path}/${command.log}`).catch(() => "");
      await server[Symbol.asyncDispose]();
      throw new Error(`${command.command[0]} did not start: ${server.#output}${log}`, { cause });
    }
  }

  /** What it has written so far. */
  get output(): string {
    return this.#output;
  }

  /** Whether it has exited. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Identifiers of the process and of its descendants. */
  pids(): Promise<number[]> {
    return processTree(this.#child.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Workers end with their parent, which they would not on SIGKILL.
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.#kill("SIGKILL"), END_MS);
    await this.#child.status;
    clearTimeout(timer);
    await this.#collected;
    await this.#folder[Symbol.asyncDispose]();
  }
  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has exited by itself.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
