import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { readGrant } from "../../lib/access/grant.ts";
import { readConfig, SETTING_NAMES } from "../../lib/config/config.ts";
import { MAX_CHANNELS } from "../../lib/protocol/event.ts";
import {
  MAX_BODY_BYTES,
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
} from "../../lib/protocol/event_rules.ts";
import denoJson from "../../deno.json" with { type: "json" };
import { launchChromium, systemChromium, testInChromium } from "../support/chromium.ts";
import { answers, denoKvFolder, testWithDenokv } from "../support/denokv.ts";
import { eventually } from "../support/eventually.ts";
import { testThatNeeds } from "../support/needs.ts";
import { Nginx, systemNginx } from "../support/nginx.ts";
import { DataFolder, Program } from "../support/program.ts";
import { StreamReader } from "../support/stream_reader.ts";
import { SECRET, TOKEN_SETTINGS } from "../support/tokens.ts";

const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
const ADDRESS = "http://localhost:8000";

/** The samples of a language, as they stand in the README. */
function samples(language: string): string[] {
  const fences = README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"));
  return [...fences].map(([, sample]) => sample!);
}

/** The one sample of a language that has a text in it. */
function sample(language: string, text: string): string {
  const found = samples(language).filter((sample) => sample.includes(text));
  equal(found.length, 1, text);
  return found[0]!;
}

/** What differs from run to run, made equal. */
function normal(text: string): string {
  return text.replace(/[\w-]{11}-(\d+)/g, "EPOCH-$1").replace(/^retry: \d+$/m, "retry: MS");
}

/** Runs a command until it ends or has printed as much as is expected. */
async function run(command: string, expected: string, cwd?: string): Promise<string> {
  const child = new Deno.Command("bash", {
    args: ["-c", `exec ${command}`],
    stdout: "piped",
    stderr: "null",
    ...(cwd === undefined ? {} : { cwd }),
  }).spawn();
  let printed = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (normal(printed).length >= normal(expected).length) break;
  }
  try {
    child.kill("SIGTERM");
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError)) throw error;
  }
  await child.status;
  return printed;
}

Deno.test("README's first two commands name tasks that are there", () => {
  const [commands] = samples("sh");
  const tasks = [...commands!.matchAll(/^npx -y deno@2\.9 task (\w+)$/gm)].map(([, task]) => task);
  deepEqual(tasks, ["start", "test"]);
  for (const task of tasks) ok(denoJson.tasks[task as "start" | "test"]);
});

Deno.test("README's session prints what it shows", async () => {
  await using folder = new DataFolder();
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  const [session] = samples("console");
  const steps = session!.split(/^\$ /m).slice(1);
  equal(steps.length, 3);
  for (const step of steps) {
    const [, command, expected] = /^(.*?[^\\])\n(.*)$/s.exec(step)!;
    const printed = await run(command!.replaceAll(ADDRESS, program.url), expected!);
    equal(normal(printed).trimEnd(), normal(expected!).trimEnd());
  }
});

Deno.test("README's component file sends what it says", async () => {
  await using folder = new DataFolder();
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  await using stack = new AsyncDisposableStack();
  const cwd = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  await Deno.writeTextFile(`${cwd}/hello.js`, sample("js ignore", "// hello.js"));
  const [, command, expected] = /^\$ deno (.*?)\n(.*)$/s.exec(sample("console", "hello.js"))!;
  const args = [...command!.split(" "), "--url", program.url];
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", "deno.json", ...args.slice(1)],
    env: { INIT_CWD: cwd, NO_COLOR: "1" },
    stderr: "null",
  }).output();
  const printed = new TextDecoder().decode(stdout);
  equal(normal(printed).replace("EPOCH-1", "EPOCH-3"), normal(expected!));
});

Deno.test("README's Node script receives an event", async () => {
  const script = sample("js ignore", "new EventSource");
  await using folder = new DataFolder();
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  const cwd = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${cwd}/receive.mjs`, script.replaceAll(ADDRESS, program.url));
    match(README, /After `npm install eventsource`/);
    const install = await new Deno.Command("npm", { args: ["install", "eventsource"], cwd })
      .output();
    ok(install.success, new TextDecoder().decode(install.stderr));
    await fetch(`${program.url}/ingest/p_aBcDeF/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"name":"Luke Skywalker"}',
    }).then((response) => response.body?.cancel());
    const expected = "New event: EPOCH-1 { name: 'Luke Skywalker' }\n";
    equal(normal(await run("node receive.mjs", expected, cwd)), expected);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

testInChromium("README's page receives an event", async () => {
  const [page] = samples("html");
  await using folder = new DataFolder();
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const file = stack.adopt(await Deno.makeTempFile({ suffix: ".html" }), Deno.remove);
  await Deno.writeTextFile(file, page!.replaceAll(ADDRESS, program.url));
  const tab = await browser.newPage();
  const said = tab.waitForEvent("console");
  await tab.goto(`file://${file}`);
  const [publish] = samples("console")[0]!.split(/^\$ /m).slice(1);
  const [, command, answer] = /^(.*?[^\\])\n(.*)$/s.exec(publish!)!;
  await run(command!.replaceAll(ADDRESS, program.url), answer!);
  equal((await said).text(), 'New event from the event stream:  {"name":"Luke Skywalker"}');
});

/** README's settings for nginx, which reach a service at another address. */
function nginxSample(url: string): string {
  const [settings, ...others] = samples("nginx");
  equal(others.length, 0);
  ok(settings!.includes(`proxy_pass ${ADDRESS.replace("localhost", "127.0.0.1")};`));
  return settings!.replace(/proxy_pass \S+;/, `proxy_pass ${url};`);
}

testThatNeeds(
  [systemChromium, systemNginx],
  "README's nginx passes every event on at once, and keeps a quiet stream open",
  async () => {
    await using folder = new DataFolder();
    await using program = await Program.start({
      RUNNEL_KV: folder.kv,
      RUNNEL_KEEPALIVE_MS: "250",
    });
    // Quicker, as the keep-alives are.
    const settings = nginxSample(program.url).replace("timeout 75s", "timeout 750ms");
    await using nginx = await Nginx.start(settings);
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const tab = await browser.newPage();
    await tab.goto(`${nginx.url}/healthz`);
    await tab.evaluate(`
      said = [];
      const source = new EventSource("/pipelines/p_a/sse");
      for (const type of ["runnel.live", "events", "error"]) {
        source.addEventListener(type, ({ data }) => said.push(type + " " + data));
      }
    `);
    const said = () => tab.evaluate<string[]>("said");
    await eventually("it is live", async () => (await said()).length === 1);
    const expected = ['runnel.live {"replayed":0}'];
    for (let i = 1; i <= 3; i++) {
      await fetch(`${nginx.url}/ingest/p_a/events`, { method: "POST", body: String(i) })
        .then((response) => response.body?.cancel());
      expected.push(`events "${i}"`);
      await eventually("the event", async () => (await said()).length > i);
      deepEqual(await said(), expected);
    }
    const response = await fetch(`${nginx.url}/pipelines/p_a/sse`);
    const stream = new StreamReader(response);
    for (let comments = 0; comments < 8;) {
      if ((await stream.next())?.kind === "comment") comments++;
    }
    await stream.cancel();
    // It was open for longer than nginx waits for a byte.
    deepEqual(await said(), expected);
  },
);

Deno.test("README's nginx settings are those of /diagnose", async () => {
  const html = await Deno.readTextFile(new URL("../../lib/pages/diagnose.html", import.meta.url));
  ok(html.includes(`<code>${samples("nginx")[0]!.trimEnd()}</code>`));
});

Deno.test("README's claim is one that the service reads", () => {
  const { exp, runnel } = JSON.parse(sample("json", '"runnel"'));
  deepEqual(readGrant(runnel, exp * 1000), { ...runnel, endsAt: 1_800_000_000_000 });
});

Deno.test("README's token opens a stream by README's ticket", async () => {
  await using folder = new DataFolder();
  await using program = await Program.start({ ...TOKEN_SETTINGS, RUNNEL_KV: folder.kv });
  await using stack = new AsyncDisposableStack();
  const bin = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  // What the shell finds as `deno` has to be what is tested.
  await Deno.symlink(Deno.execPath(), `${bin}/deno`);
  const shell = async (command: string, env: Record<string, string>) => {
    const { stdout } = await new Deno.Command("bash", {
      args: ["-c", command],
      env: { ...env, PATH: `${bin}:${Deno.env.get("PATH")}` },
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).trimEnd();
  };
  const token = await shell(sample("sh", "task token"), { RUNNEL_TOKEN_SECRET: SECRET });
  const command = sample("sh", "/tickets").replaceAll(ADDRESS, program.url);
  const { url, expires } = JSON.parse(await shell(command, { TOKEN: token }));
  ok(Date.parse(expires) > Date.now());
  const stream = new StreamReader(await fetch(url));
  await stream.until("runnel.live");
  await stream.cancel();
});

testWithDenokv("README's processes on a KV server are one service", async () => {
  const [secret, server, ...processes] = sample("sh", "denokv ").trimEnd().split("\n");
  equal(processes.length, 2);
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  // What the shell finds as `deno` has to be what is tested, and to hear its signals.
  await Deno.symlink(Deno.execPath(), `${folder}/deno`);
  const settings = { PATH: `${folder}:${denoKvFolder}:${Deno.env.get("PATH")}` };
  const kv = new Deno.Command("bash", {
    args: ["-c", `${secret}\nexec ${server}`],
    cwd: folder,
    env: settings,
    stdout: "null",
    stderr: "null",
  }).spawn();
  stack.defer(async () => {
    kv.kill("SIGKILL");
    await kv.status;
  });
  const [, address] = /RUNNEL_KV=(\S+)/.exec(processes[0]!)!;
  await eventually("the KV server answers", () => answers(address!));
  const programs = [];
  for (const command of processes) {
    const line = ["bash", "-c", `${secret}\n${command}`];
    const program = stack.use(await Program.start(settings, line));
    equal(new URL(program.url).port, /PORT=(\d+)/.exec(command)![1]);
    // `deno task` passes it on, and does not leave a process behind.
    stack.defer(async () => {
      program.kill("SIGTERM");
      equal(await program.exit(), 0);
    });
    programs.push(program);
  }
  const streams = await Promise.all(
    programs.map(async ({ url }) => new StreamReader(await fetch(`${url}/pipelines/p_a/sse`))),
  );
  for (const { url } of programs) {
    const answer = await fetch(`${url}/ingest/p_a/events`, { method: "POST", body: url });
    equal(answer.status, 202);
    await answer.body?.cancel();
    for (const stream of streams) {
      let event;
      do event = (await stream.event())!; while (event.type === "runnel.live");
      equal(event.data, JSON.stringify(url));
    }
  }
  for (const stream of streams) await stream.cancel();
});

/** The rows of the table under a heading, as their cells. */
function rows(heading: string): string[][] {
  const [section] = README.split(`\n## ${heading}\n`)[1]!.split("\n## ");
  const lines = section!.split("\n").filter((line) => line.startsWith("|")).slice(2);
  return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("README names every setting with its default, and no other", () => {
  const settings = rows("Settings").map((cells) => cells.map((cell) => cell.replaceAll("`", "")));
  // What Deno Deploy sets is not a setting of the user's.
  deepEqual(
    settings.map(([name]) => name),
    SETTING_NAMES.filter((name) => name !== "DENO_DEPLOYMENT_ID"),
  );
  for (const [name, value] of settings) {
    if (value !== "none") deepEqual(readConfig({ [name!]: value }), readConfig({}));
  }
});

Deno.test("README's limits are those of the code", () => {
  const limits = Object.fromEntries(rows("Limits"));
  equal(limits["Body of a request"], `${MAX_BODY_BYTES / 1024} KiB, not compressed`);
  equal(limits["Events of a request"], MAX_EVENTS.toLocaleString("en"));
  equal(
    limits["Payload"],
    `${MAX_PAYLOAD_BYTES / 1024} KiB as JSON in UTF-8, ${MAX_PAYLOAD_DEPTH} levels deep`,
  );
  equal(limits["Channels that a stream names"], String(MAX_CHANNELS));
});
