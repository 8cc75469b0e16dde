/**
 * The examples, as their users have them: as files of their own.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import type { TempFolder } from "../../support/programs/temp_folder.ts";

const EXAMPLES = new URL("../../../lib/pages/examples/", import.meta.url);

/** Address of the service in every example and command. */
export const ADDRESS = "http://localhost:8000";

/** Reads an example. */
export async function readExample(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(name, EXAMPLES));
}

/** Copies an example to a folder, with another address of the service, and returns its path. */
export async function copyExample(
  folder: TempFolder,
  name: string,
  address: string,
): Promise<string> {
  const text = await readExample(name);
  const count = text.includes("/assets/client/mod.js") ? 2 : 1;
  equal(text.split(ADDRESS).length - 1, count, `${name} names the address once, and in its import`);
  return await folder.write(name, text.replaceAll(ADDRESS, address));
}
