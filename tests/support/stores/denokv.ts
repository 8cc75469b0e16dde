/**
 * The self-hosted KV server, for tests of a log that is reached over a network.
 *
 * @module
 */

import type { SharedStore } from "../log.ts";
import type { Environment } from "../programs/program.ts";
import { type Requirement, testWithRequirements } from "../programs/requirements.ts";
import { eventually } from "../wait.ts";

/** Ports that the system gives to nobody by itself, so that a server finds its own again. */
const PORTS = { from: 20_000, to: 30_000 };

/**
 * The token of all servers of this process. `Deno.openKv` reads it from the
 * environment, which test files that run at once have in common.
 */
const TOKEN = `runnel-test-${Deno.pid}`;

const executable = await find();

/** Where it is, as a line of the shell would find it. */
export const denoKvFolder: string = executable?.replace(/\/[^/]*$/, "") ?? "";

/** What a test that uses it needs. */
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

  /** Its address. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** What a program needs to use it. */
  get settings(): Environment {
    return { RUNNEL_KV: this.url, DENO_KV_ACCESS_TOKEN: TOKEN };
  }

  /** Starts it on what it has stored, and waits until it answers. */
  async start(): Promise<void> {
    const address = `127.0.0.1:${this.#port}`;
    const child = new Deno.Command(executable!, {
      args: ["--sqlite-path", `${this.#folder}/kv.sqlite`, "serve", "--addr", address],
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

  /** Stops it as a crash does. */
  async stop(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.status;
    this.#child = null;
  }

  /** Freezes it: connections stay, and nothing answers. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Lets it go on. */
  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Opens a connection to it. */
  open(): Promise<Deno.Kv> {
    Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
    return Deno.openKv(this.url);
  }

  /** Stops it, and deletes what it has stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** A store on a server of its own, to which each log has a connection of its own. */
export async function denoKvStore(): Promise<SharedStore> {
  const server = await DenoKv.start();
  return {
    open: () => server.open(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Registers a test that is ignored, with the line that helps, where there is no `denokv`. */
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

/** Whether a server answers at an address. */
export async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).body?.cancel();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
