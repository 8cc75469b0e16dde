/**
 * What the program runs on: the runtimes and the stores that it is tried with.
 *
 * @module
 */

import { DenoKv, denoKv } from "./denokv.ts";
import type { Need } from "./needs.ts";
import { OLDER_DENO, olderDeno } from "./older_deno.ts";
import { DataFolder, type Environment, startCommand } from "./program.ts";

/** The runtimes, each with the command that starts the program there. */
export const runtimes: { name: string; needs: Need[]; command: string[] }[] = [
  { name: "this Deno", needs: [], command: startCommand() },
  { name: "Deno 2.5", needs: [olderDeno], command: startCommand(OLDER_DENO) },
];

/** A store for one test. */
export interface Store extends AsyncDisposable {
  /** What the program needs to use it. */
  settings: Environment;
}

/** The stores. */
export const stores: { name: string; needs: Need[]; create: () => Promise<Store> }[] = [
  {
    name: "a file",
    needs: [],
    create() {
      const folder = new DataFolder();
      return Promise.resolve({
        settings: { RUNNEL_KV: folder.kv },
        [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
      });
    },
  },
  { name: "denokv", needs: [denoKv], create: () => DenoKv.start() },
];
