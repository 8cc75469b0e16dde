/**
 * Builds the program as one executable: `deno task compile`.
 *
 * @module
 */

import { runCommand } from "../base/mod.ts";

const USAGE = `Builds the program as one executable, for this system.

  deno task compile [--output runnel]

  --output FILE  executable (default: runnel)
  -h, --help     print this help`;

/**
 * Options of the build. The pages and the module of an isolate are named, because nothing
 * imports them. The permissions of `deno.json` would be those for the folder of the build.
 */
const OPTIONS = [
  ...["-q", "--no-prompt", "--exclude-unused-npm"],
  ...["--allow-net", "--allow-env", "--allow-read", "--allow-write"],
  ...["--include", "lib/pages", "--include", "lib/service/isolate.ts"],
];

/**
 * A package, and folders of it that no module needs: their files overflow the stack of
 * `deno compile`, in Deno 2.9.6.
 */
const UNUSED = { name: "bintrees", folders: ["test", "examples", "dist"] };

/** Lists the folders of {@linkcode UNUSED} in the cache of packages. */
async function* listUnused(): AsyncGenerator<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout));
  for (const { name: registry } of list(npmCache)) {
    const versions = `${npmCache}/${registry}/${UNUSED.name}`;
    for (const { name: version } of list(versions)) {
      for (const folder of UNUSED.folders) yield `${versions}/${version}/${folder}`;
    }
  }
}

/** Returns what a folder contains: nothing if it does not exist. */
function list(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)].filter(({ isDirectory }) => isDirectory);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

const options = { output: { type: "string", default: "runnel" } } as const;

await runCommand({ usage: USAGE, options }, async ({ values: { output } }) => {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const root = new URL("../../", import.meta.url);
  // The packages are in the cache before their folders are looked for.
  await new Deno.Command(Deno.execPath(), { args: ["cache", "-q", main], cwd: root }).output();
  const excluded = (await Array.fromAsync(listUnused())).flatMap((path) => ["--exclude", path]);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["compile", ...OPTIONS, ...excluded, "--output", output!, main],
    cwd: root,
  }).spawn().status;
  Deno.exit(code);
});
