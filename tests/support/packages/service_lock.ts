/**
 * The lock file of the service, `deno.lock`: the part of `tests/deno.lock` that has no
 * packages of tests, which would be downloaded at the first start. Run it after a
 * package has changed: `deno run -A --lock=tests/deno.lock tests/support/packages/service_lock.ts`.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import manifest from "../../../deno.json" with { type: "json" };
import pages from "../../../lib/pages/deno.json" with { type: "json" };

/** File that the service is started with. */
export const SERVICE_LOCK: URL = new URL("../../../deno.lock", import.meta.url);

/** The parts of a lock file that name packages. */
interface Lock {
  version: string;
  specifiers: Record<string, string>;
  npm: Record<string, { integrity: string; dependencies?: string[] }>;
  workspace: unknown;
}

/** Returns the text of the lock file of the service, as it follows from `tests/deno.lock`. */
export async function createServiceLock(): Promise<string> {
  const url = new URL("../../deno.lock", import.meta.url);
  const { version, specifiers, npm, workspace }: Lock = JSON.parse(await Deno.readTextFile(url));
  const imports: string[] = [manifest, pages].flatMap(({ imports }) => Object.values(imports));
  const roots = Object.entries(specifiers).filter(([specifier]) => imports.includes(specifier));
  const needed = new Set<string>();
  const add = (name: string) => {
    const keys = Object.keys(npm).filter((key) => key.startsWith(`${name}@`));
    equal(keys.length, 1, `There is one version of ${name}`);
    if (needed.has(keys[0]!)) return;
    needed.add(keys[0]!);
    npm[keys[0]!]!.dependencies?.forEach(add);
  };
  for (const [specifier] of roots) add(specifier.slice("npm:".length).replace(/(?<=.)@[^@]*$/, ""));
  const lock: Lock = {
    version,
    specifiers: Object.fromEntries(roots),
    npm: Object.fromEntries(Object.entries(npm).filter(([key]) => needed.has(key))),
    workspace,
  };
  return `${JSON.stringify(lock, null, 2)}\n`;
}

if (import.meta.main) await Deno.writeTextFile(SERVICE_LOCK, await createServiceLock());
