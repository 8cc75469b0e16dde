/**
 * A disk that a test can fill.
 *
 * @module
 */

import { DataFolder } from "../programs/program.ts";
import type { Requirement } from "../programs/requirements.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Requirements of a test that uses a small disk. */
export const smallDisk: Requirement = {
  isInstalled: await canMount(),
  install: "start the tests as root of a machine, or in a container with --privileged",
};

/** A disk in memory, as a folder that the program may use. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: DataFolder;

  private constructor(folder: DataFolder) {
    this.#folder = folder;
  }

  /** Creates a disk of a size in MiB. */
  static async create(size: number): Promise<SmallDisk> {
    const folder = new DataFolder();
    await folder.make(".");
    const disk = new SmallDisk(folder);
    if (!await run("mount", "-t", "tmpfs", "-o", `size=${size}m`, "tmpfs", disk.#path)) {
      await folder[Symbol.asyncDispose]();
      throw new Error(`Cannot mount a disk at ${disk.#path}`);
    }
    return disk;
  }

  /** A file for the log. */
  get kv(): string {
    return this.#folder.kv;
  }

  get #path(): string {
    return new URL(this.#folder.path, ROOT).pathname;
  }

  /** Fills the disk. */
  async fill(): Promise<void> {
    using ballast = await Deno.open(`${this.#path}/ballast`, { create: true, append: true });
    const page = new Uint8Array(4096);
    try {
      while (await ballast.write(page) === page.length);
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("No space left"))) throw error;
    }
  }

  /** Frees the space again. */
  async free(): Promise<void> {
    await Deno.remove(`${this.#path}/ballast`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", this.#path);
    await this.#folder[Symbol.asyncDispose]();
  }
}

async function canMount(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    return await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder) &&
      await run("umount", folder);
  } finally {
    await Deno.remove(folder);
  }
}

async function run(command: string, ...args: string[]): Promise<boolean> {
  try {
    const options = { args, stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
