import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import { Program, startCommand } from "../support/programs/program.ts";
import { runTask } from "../support/programs/task.ts";

/** Tasks that users run, apart from tests. */
const TASKS = [
  "start",
  "demo",
  "workflow",
  "token",
  "backup",
  "restore",
  "compact",
  "pack",
] as const;

/** An address at which nothing listens. */
function freeAddress(): Deno.NetAddr {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr;
}

for (const task of TASKS) {
  Deno.test(`deno task ${task} prints its usage for --help`, async () => {
    const { code, stdout, stderr } = await runTask(task, { args: ["--help"] });
    deepEqual([code, stderr], [0, ""]);
    match(stdout, new RegExp(`^  deno task ${task}\\b.*$`, "m"));
    match(stdout, /^ {2}-h, --help +print this help$/m);
  });

  Deno.test(`deno task ${task} refuses an option that it does not know, with its usage`, async () => {
    const { code, stdout, stderr } = await runTask(task, { args: ["--hlep"] });
    deepEqual([code, stdout], [1, ""]);
    match(stderr, /^Cannot use --hlep: there is no such option/);
    match(stderr, new RegExp(`^  deno task ${task}\\b.*$`, "m"));
  });
}

Deno.test("deno task start --version prints the version", async () => {
  const { code, stdout } = await runTask("start", { args: ["--version"] });
  deepEqual([code, stdout], [0, `${denoJson.version}\n`]);
});

Deno.test("deno task start takes the port, the host and the log as options, before the settings", async () => {
  const { port } = freeAddress();
  await using program = await Program.start(
    { PORT: "1", HOST: "192.0.2.1", RUNNEL_KV: "/nowhere" },
    [...startCommand(), "--port", String(port), "--host=127.0.0.1", "--kv", ":memory:"],
  );
  equal(program.url, `http://127.0.0.1:${port}`);
  match(program.output, /^ {2}log +:memory:$/m);
});

for (
  const [name, says] of [
    ["RUNNEL_HISTROY", "there is no setting RUNNEL_HISTROY. Did you mean RUNNEL_HISTORY?"],
    ["RUNNEL_X", "there is no setting RUNNEL_X. lib/config/README.md lists all settings"],
  ] as const
) {
  Deno.test(`main.ts refuses the variable ${name}, in one line`, async () => {
    const { code, lines } = await Program.startExpectingFailure({
      RUNNEL_KV: ":memory:",
      [name]: "1",
    });
    deepEqual([code, lines], [1, [`Cannot start: ${says}`]]);
  });
}

Deno.test("main.ts says what it started and that it drains, and nothing on standard error", async () => {
  await using program = await Program.start({
    RUNNEL_KV: ":memory:",
    RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher",
    RUNNEL_TOKEN: "the variable of publishers",
  });
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
  equal(
    program.output.replace(/^\S+Z INFO {2}/gm, "").replace(/\d+(\.\d+)?\n$/, "…\n"),
    `Runnel ${denoJson.version} listens on ${program.url}/
  log       :memory:
  isolates  1
  publish   holders of a token of RUNNEL_PUBLISH_TOKENS
  subscribe everyone
  settings  PORT=0 RUNNEL_KV=:memory: RUNNEL_LOG_FORMAT=text RUNNEL_PUBLISH_TOKENS=…
SIGTERM: Runnel drains, within 5 seconds
Runnel has ended
  seconds   …
`,
  );
  equal(program.output.match(/^\d{4}-\S+Z INFO {2}\S/gm)?.length, 3);
  equal(program.errors, "");
});
