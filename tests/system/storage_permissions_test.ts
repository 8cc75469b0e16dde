import { ok, rejects, strictEqual as equal } from "node:assert/strict";
import { prepareStorage } from "../../lib/kv/storage.ts";
import { Program } from "../support/programs/program.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";

/** Search path on which a shell finds the Deno that runs this test. */
const PATH = `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`;

const outside = ["log/runnel.sqlite", "a log/runnel.sqlite", "it's one/runnel.sqlite"];

for (const name of outside) {
  Deno.test(`prepareStorage() names a command that works for ${name} outside the permissions`, async () => {
    await using folder = new TempFolder();
    const path = `${folder.path}/${name}`;
    const { code, lines } = await Program.startExpectingFailure({ RUNNEL_KV: path });
    equal(code, 1);
    equal(lines.length, 1);
    const [, missing, command] =
      /^Cannot start: no permission for (.*?)\. Use a file in \.data, or start with: (.*)$/
        .exec(lines[0]!)!;
    ok(path.startsWith(missing!), `${missing} is not on the way to ${path}`);
    ok(!command!.includes("-A"), "it asks for more than is needed");

    await using program = await Program.start({ PATH }, ["/bin/sh", "-c", `exec env ${command}`]);
    await rejects(prepareStorage(path), ({ message }: Error) => {
      const [, holder] = / is in use by process (\d+)\. /.exec(message)!;
      return Number(holder) !== Deno.pid;
    });
    // Its pages are files, too.
    const page = await fetch(`${program.url}/`, { headers: { Accept: "text/html" } });
    equal(page.status, 200, await page.text());
  });
}
