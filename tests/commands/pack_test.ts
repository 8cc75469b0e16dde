import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { runTask } from "../support/programs/task.ts";

Deno.test("deno task pack writes a package with README and license, and no false warning", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { code, stderr } = await runTask("pack", { args: ["--output", `${folder}/p.tgz`] });
    equal(code, 0, stderr);
    deepEqual(stderr.split("\n").filter((line) => /warning|could not/i.test(line)), []);
    const list = await new Deno.Command("tar", { args: ["tzf", `${folder}/p.tgz`] }).output();
    const files = new TextDecoder().decode(list.stdout).split("\n");
    for (const name of ["README.md", "LICENSE", "package.json"]) {
      equal(files.includes(`package/${name}`), true, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
