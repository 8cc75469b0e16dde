import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual as notEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { runTask } from "../support/programs/task.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";

for (const name of ["client", "workflow"]) {
  Deno.test(`deno task pack ${name} writes a package with README and license, and no false warning`, async () => {
    await using folder = new TempFolder();
    const tarball = `${folder.path}/p.tgz`;
    const { code, stderr } = await runTask("pack", { args: [name, "--output", tarball] });
    equal(code, 0, stderr);
    deepEqual(stderr.split("\n").filter((line) => /warning|could not/i.test(line)), []);
    const list = await new Deno.Command("tar", { args: ["tzf", tarball] }).output();
    const files = new TextDecoder().decode(list.stdout).split("\n");
    for (const name of ["README.md", "LICENSE", "package.json"]) {
      equal(files.includes(`package/${name}`), true, name);
    }
  });
}

Deno.test("deno task pack refuses a package that it does not have, and one file for two", async () => {
  for (
    const [args, message] of [
      [["server"], /^Cannot pack "server"/],
      [["-o", "p.tgz"], /^Cannot pack: name one package beside --output/],
    ] as const
  ) {
    const { code, stderr } = await runTask("pack", { args });
    notEqual(code, 0);
    match(stderr, message);
  }
});
