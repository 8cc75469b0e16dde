/**
 * The load generator, a program in Rust that runs beside the servers.
 *
 * @module
 */

import type { Requirement } from "../support/programs/requirements.ts";
import type { Sample } from "./statistics.ts";

const executable = await find();

/** The compiler of the load generator. */
export const cargo: Requirement = {
  isInstalled: executable !== undefined,
  install: "apt-get install -y cargo",
};

/** Path of the compiler, as a shell or its own installer would have it. */
async function find(): Promise<string | undefined> {
  const folders = Deno.env.get("PATH")?.split(":") ?? [];
  for (const folder of [...folders, `${Deno.env.get("HOME")}/.cargo/bin`]) {
    const path = `${folder}/cargo`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

/** Time limit of one call, in seconds: what a peer may never answer. */
const LIMIT_S = 300;

/** Options of a call, by name. */
export type LoadOptions = Readonly<Record<string, string | number>>;

/** The compiled load generator. */
export class Load {
  /** Path of the program. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Compiles the program into a cache of this machine, unless it is there. */
  static async build(): Promise<Load> {
    if (executable === undefined) {
      throw new Error(`Cannot build the load generator: cargo is missing (${cargo.install})`);
    }
    const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
    const target = `${cache}/runnel-bench`;
    const { success } = await new Deno.Command(executable, {
      args: ["build", "-q", "--release", "--locked", "--target-dir", target],
      cwd: new URL("load/", import.meta.url),
      stdout: "null",
    }).output();
    if (!success) throw new Error("Cannot build the load generator: cargo build failed");
    return new Load(`${target}/release/load`);
  }

  /**
   * Runs a mode to its end, and returns what it measured.
   *
   * @throws If it found a fault, such as an event that is missing.
   */
  async run(mode: "drive" | "join", options: LoadOptions): Promise<Sample> {
    const { stdout, stderr } = await new Deno.Command(this.path, {
      args: [
        mode,
        ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]),
      ],
      signal: AbortSignal.timeout(LIMIT_S * 1000),
    }).output();
    const [out, complaint] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes).trim()
    );
    if (out === "") throw new Error(complaint || "The load generator printed nothing");
    const { error, ...sample } = JSON.parse(out!);
    if (error !== null) throw new Error(error);
    return sample;
  }
}
