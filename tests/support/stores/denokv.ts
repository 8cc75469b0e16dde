/**
 * The self-hosted KV server, for tests of a log behind a network.
 *
 * @module
 */

import type { SharedStore } from "../log.ts";
import type { Environment } from "../programs/program.ts";
import { type Requirement, testWithRequirements } from "../programs/requirements.ts";
import { eventually } from "../wait.ts";

/** Ports outside the ephemeral range, so that a restarted server finds its own port free. */
const PORTS = { from: 20_000, to: 30_000 };

/**
 * The token of all servers of this process. `Deno.openKv` reads it from the
 * environment, which test files that run in parallel share.
 */
const TOKEN = `runnel-test-${Deno.pid}`;

const executable = await find();

/** Folder of the executable, as a shell finds it; empty if there is none. */
export const denoKvFolder: string = executable?.replace(/\/[^/]*$/, "") ?? "";

/** Requirements of a test that uses the server. */
export const denoKv: Requirement = {
  isInstalled: executable !== undefined,
  install: "cargo install denokv --locked",
};

/** A KV server that a test stops and starts again. */
export class DenoKv implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  #child: Deno.ChildProcess | null = null;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  /** Returns the arguments with which the server serves a file at an address. */
  static serverArguments(path: string, address: string): string[] {
    return ["--sqlite-path", path, "serve", "--addr", address];
  }

  /** Starts a server with an empty store. */
  static async start(): Promise<DenoKv> {
    const kv = new DenoKv(await Deno.makeTempDir(), findPort());
    try {
      await kv.start();
      return kv;
    } catch (error) {
      await kv[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Address of the server. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Environment variables with which a program uses the server. */
  get settings(): Environment {
    return { RUNNEL_KV: this.url, DENO_KV_ACCESS_TOKEN: TOKEN };
  }

  /** Starts the server on its stored data, and waits until it responds. */
  async start(): Promise<void> {
    const address = `127.0.0.1:${this.#port}`;
    const child = new Deno.Command(executable!, {
      args: DenoKv.serverArguments(`${this.#folder}/kv.sqlite`, address),
      env: { DENO_KV_ACCESS_TOKEN: TOKEN },
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#child = child;
    let ended = false;
    child.status.then(() => ended = true);
    await eventually("denokv answers", async () => {
      if (ended) throw new Error(`denokv ended at once: is ${address} in use?`);
      return await answers(this.url);
    });
  }

  /** Kills the server, as a crash does. */
  async stop(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.status;
    this.#child = null;
  }

  /**
   * Stops the server and returns a function that puts its data of now in place of
   * those of later, as an operator rolls a store back; then starts it again.
   */
  async snapshot(): Promise<() => Promise<void>> {
    await this.stop();
    const copy = await Deno.makeTempDir();
    await copyFiles(this.#folder, copy);
    await this.start();
    return async () => {
      await this.stop();
      await Deno.remove(this.#folder, { recursive: true });
      await copyFiles(copy, this.#folder);
      await Deno.remove(copy, { recursive: true });
      await this.start();
    };
  }

  /** Freezes the server: connections stay open, and nothing responds. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Resumes the server. */
  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Opens a connection to the server. */
  open(): Promise<Deno.Kv> {
    Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
    return Deno.openKv(this.url);
  }

  /** Stops the server, and deletes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function copyFiles(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** A store on its own server, to which each log opens its own connection. */
export async function denoKvStore(): Promise<SharedStore> {
  const server = await DenoKv.start();
  return {
    open: () => server.open(),
    remote: true,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Registers a test. If `denokv` is missing, it is ignored, with the line that installs it. */
export function testWithDenokv(name: string, fn: () => Promise<void>): void {
  testWithRequirements([denoKv], name, fn);
}

async function find(): Promise<string | undefined> {
  const folders = Deno.env.get("PATH")?.split(":") ?? [];
  const candidates = [
    Deno.env.get("DENOKV"),
    ...[...folders, `${Deno.env.get("HOME")}/.cargo/bin`].map((folder) => `${folder}/denokv`),
  ];
  for (const path of candidates) {
    if (path && await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

function findPort(): number {
  while (true) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** Whether a server responds at an address. */
export async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).body?.cancel();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
