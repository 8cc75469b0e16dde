/**
 * Platforms of the program: the runtimes and the stores that it is tested on.
 *
 * @module
 */

import { DenoKv, denoKv } from "../stores/denokv.ts";
import { OLDER_DENO, olderDeno } from "./older_deno.ts";
import { DataFolder, type Environment, startCommand } from "./program.ts";
import type { Requirement } from "./requirements.ts";

/** Runtimes, each with the command that starts the program. */
export const runtimes: { name: string; requirements: Requirement[]; command: string[] }[] = [
  { name: "this Deno", requirements: [], command: startCommand() },
  {
    name: "Deno 2.5",
    requirements: [olderDeno],
    // As on Deno Deploy: by the entrypoint, without the permissions of a task.
    command: [OLDER_DENO, "run", "-A", "main.ts"],
  },
];

/** A store for one test. */
export interface Store extends AsyncDisposable {
  /** Environment variables with which the program uses the store. */
  settings: Environment;
}

/** Stores, by name. */
export const stores: { name: string; requirements: Requirement[]; create: () => Promise<Store> }[] =
  [
    {
      name: "a file",
      requirements: [],
      create() {
        const folder = new DataFolder();
        return Promise.resolve({
          settings: { RUNNEL_KV: folder.kv },
          [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
        });
      },
    },
    { name: "denokv", requirements: [denoKv], create: () => DenoKv.start() },
  ];
