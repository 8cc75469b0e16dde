import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { Buffer } from "node:buffer";
import manifest from "../../deno.json" with { type: "json" };
import { openStream } from "../support/clients/stream_reader.ts";
import { compile, denort } from "../support/programs/compiled.ts";
import { Program } from "../support/programs/program.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";

const ROOT = new URL("../../", import.meta.url);

/** Lists the files of a folder and of those below. */
async function* listFiles(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* listFiles(new URL(`${name}/`, folder));
    else yield new URL(name, folder);
  }
}

/** Returns a text that has one character for each byte. */
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

Deno.test("deno task compile embeds all that the service loads, and bakes in no folder", async () => {
  await using folder = new TempFolder();
  const path = `${folder.path}/runnel`;
  // This Deno in the place of the runtime: such an executable does not run the program.
  await compile(path, Deno.execPath());
  const { size } = await Deno.stat(Deno.execPath());
  // A text, since that is searched fifty times as fast as bytes are.
  const embedded = textOf((await Deno.readFile(path)).subarray(size));
  for await (const file of listFiles(new URL("lib/pages/", ROOT))) {
    const content = await Deno.readFile(file);
    ok(embedded.includes(textOf(content)), `${file} is not in the executable`);
  }
  ok(embedded.includes("Main module of a Worker of {@linkcode startIsolates}"), "the isolates");
  const [permissions] = /"permissions":(\{[^}]*\})/.exec(embedded)!.slice(1);
  const { allow_read, allow_write, allow_net, allow_run, allow_ffi, prompt } = JSON.parse(
    permissions!,
  );
  deepEqual({ allow_read, allow_write, allow_net, allow_run, allow_ffi, prompt }, {
    allow_read: [],
    allow_write: [],
    allow_net: [],
    allow_run: null,
    allow_ffi: null,
    prompt: false,
  });
});

for (const isolates of [1, 2]) {
  testWithRequirements(
    [denort],
    `The compiled program serves with ${isolates} isolate(s) in an empty folder`,
    async () => {
      await using folder = new TempFolder();
      await using bin = new TempFolder();
      const path = `${bin.path}/runnel`;
      await compile(path);
      const version = await new Deno.Command(path, { args: ["--version"], cwd: folder.path })
        .output();
      equal(new TextDecoder().decode(version.stdout).trim(), manifest.version);

      const settings = { RUNNEL_ISOLATES: String(isolates), RUNNEL_MAX_SUBSCRIBERS: "99999" };
      await using program = await Program.start(settings, [path], folder.path);
      ok((await Deno.stat(`${folder.path}/.data/runnel.sqlite`)).isFile);
      match(program.errors, /^RUNNEL_MAX_SUBSCRIBERS is 99999.*more files open/m);
      const stream = await openStream(program, "p_a");
      await stream.until("runnel.live");
      const url = `${program.url}/ingest/p_a/events`;
      const answer = await fetch(url, { method: "POST", body: "1" });
      equal(answer.status, 202, await answer.text());
      equal((await stream.event())!.data, '"1"');
      const page = await fetch(`${program.url}/`, { headers: { Accept: "text/html" } });
      match(await page.text(), /^<!DOCTYPE html>/i);
      program.kill("SIGTERM");
      equal(await stream.event(), null);
      equal(await program.exit(), 0);
    },
  );
}
