import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { readGrant } from "../../lib/access/grant.ts";
import { RunnelError, type RunnelErrorType } from "../../lib/base/errors.ts";
import { readConfig, SETTING_NAMES } from "../../lib/config/config.ts";
import { createRoutes } from "../../lib/http/openapi.ts";
import { problem } from "../../lib/http/problem.ts";
import { MAX_CHANNELS, MAX_PIPELINES } from "../../lib/protocol/event.ts";
import {
  MAX_BODY_BYTES,
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
} from "../../lib/protocol/event_rules.ts";
import denoJson from "../../deno.json" with { type: "json" };
import manifest from "../../lib/workflow.deno.json" with { type: "json" };
import { launchChromium, systemChromium, testInChromium } from "../support/browser/chromium.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { SECRET, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { Nginx, systemNginx } from "../support/programs/nginx.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { requireProgram, testWithRequirements } from "../support/programs/requirements.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { createProject, node, run } from "../support/programs/workflow_package.ts";
import { findReadme, readmes, writeDeno } from "../support/readme.ts";
import { answers, denoKvFolder, testWithDenokv } from "../support/stores/denokv.ts";
import { eventually, PATIENCE_MS } from "../support/wait.ts";

const README = findReadme("README.md");
const ACCESS_README = findReadme("lib/access/README.md");
const HTTP_README = findReadme("lib/http/README.md");
const PROXIES_README = findReadme("lib/service/proxies/README.md");
const SERVICE_README = findReadme("lib/service/README.md");
const WORKFLOW_README = findReadme("lib/workflow/README.md");
const ADDRESS = "http://localhost:8000";

const jq = await requireProgram("/usr/bin/jq", "apt-get install -y jq");

/** Time limit for a command to end after its expected output, in milliseconds. */
const END_MS = 1000;

/** The packages that samples import. */
const PACKAGES = ["client", "workflow"] as const;

/** Replaces the parts that differ between runs. */
function normal(text: string): string {
  return text.replace(/[\w-]{11}-(\d+)/g, "EPOCH-$1").replace(/^retry: \d+$/m, "retry: MS")
    .replace(/"requestId":"[0-9a-z]{16}"/, '"requestId":"ID"');
}

/**
 * Runs a command and returns what it prints. A command that does not end by
 * itself, such as one that follows a stream, is stopped after the expected output.
 */
async function print(
  command: string,
  expected: string,
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const child = new Deno.Command("bash", {
    args: ["-c", `exec ${command}`],
    stdout: "piped",
    stderr: "null",
    ...options,
  }).spawn();
  let wasStopped = false;
  const stopAfter = (ms: number) =>
    setTimeout(() => {
      wasStopped = true;
      try {
        child.kill("SIGTERM");
      } catch (error) {
        // The command has just ended.
        if (!(error instanceof TypeError)) throw error;
      }
    }, ms);
  let timer = stopAfter(PATIENCE_MS);
  let printed = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (normal(printed).length < normal(expected).length) continue;
    clearTimeout(timer);
    timer = stopAfter(END_MS);
  }
  const { success } = await child.status;
  clearTimeout(timer);
  ok(success || wasStopped, command);
  return printed;
}

/** Parses a terminal sample into its commands, each with its output. */
function readCommands(text: string): [command: string, expected: string][] {
  return text.split(/^\$ /m).slice(1).map((step) => {
    const [, command, expected] = /^(.*?[^\\])\n(.*)$/s.exec(step)!;
    return [command!, expected!];
  });
}

// Every README

for (const readme of readmes) {
  const { path } = readme;

  Deno.test(`${path} names tasks and a package that exist`, () => {
    for (const [, task] of readme.text.matchAll(/\bdeno(?:@[\d.]+)? task ([\w:]+)/g)) {
      ok(Object.hasOwn(denoJson.tasks, task!), task);
    }
    for (const [, version] of readme.text.matchAll(/\brunnel-\w+-([\d.]+)\.tgz/g)) {
      equal(version, manifest.version);
    }
  });

  Deno.test(`${path} links files and headings that exist`, async () => {
    for (const link of readme.links) {
      const [file, anchor] = link.split("#");
      const target = new URL(file || readme.url, readme.url);
      const { isDirectory } = await Deno.stat(target);
      if (anchor === undefined) continue;
      const page = isDirectory ? new URL("README.md", target) : target;
      const found = readmes.find(({ url }) => url.href === page.href);
      ok(found?.anchors.includes(anchor), link);
    }
  });

  // A test must not change its machine.
  const commands = readme.samples("console").flatMap(readCommands)
    .filter(([command]) => !command.startsWith("sudo "));
  const usesNode = commands.some(([command]) => command.startsWith("node "));
  const files = readme.all.flatMap(({ file, text }) => file === undefined ? [] : [{ file, text }]);

  const usesJq = commands.some(([command]) => command.includes("| jq "));
  const needs = [...usesNode ? [node] : [], ...usesJq ? [jq] : []];
  const hasSession = commands.length + files.length > 0;
  if (hasSession) {
    testWithRequirements(needs, `${path} shows what its commands print`, async () => {
      await using data = new DataFolder();
      await using program = await Program.start({ RUNNEL_KV: data.kv });
      const packages = PACKAGES.filter((name) => readme.text.includes(`"@runnel/${name}`));
      await using folder = usesNode ? await createProject(packages) : new TempFolder();
      for (const { file, text } of files) {
        ok(commands.some(([command]) => command.split(" ").includes(file)), file);
        await folder.write(file, text.replaceAll(ADDRESS, program.url));
      }
      await using bin = new TempFolder();
      await writeDeno(bin.path, program.url);
      const env = { PATH: `${bin.path}:${Deno.env.get("PATH")}`, NO_COLOR: "1" };
      for (const [command, expected] of commands) {
        const line = command.replaceAll(ADDRESS, program.url);
        const printed = await print(line, expected, { cwd: folder.path, env });
        equal(normal(printed).trimEnd(), normal(expected).trimEnd());
      }
    });
  }

  const scripts = readme.samples("js").filter((text) =>
    !files.some((file) => file.text === text) && text.includes('from "@runnel/workflow"')
  );
  if (scripts.length > 0) {
    testWithRequirements([node], `${path} has scripts that send events`, async () => {
      await using data = new DataFolder();
      await using program = await Program.start({ RUNNEL_KV: data.kv });
      await using project = await createProject();
      for (const [index, text] of scripts.entries()) {
        await project.write("script.js", text.replaceAll(ADDRESS, program.url));
        const printed = await run("node", ["script.js"], project.path);
        match(normal(printed), new RegExp(`channel: 'events', id: 'EPOCH-${index + 1}'`));
      }
    });
  }
}

// README.md

Deno.test("README's first two commands name tasks that exist", () => {
  const [commands] = README.samples("sh");
  const tasks = [...commands!.matchAll(/^npx -y deno@2\.9 task (\w+)$/gm)].map(([, task]) => task);
  deepEqual(tasks, ["start", "test"]);
  for (const task of tasks) ok(denoJson.tasks[task as "start" | "test"]);
});

Deno.test("README's Node script receives an event", async () => {
  const script = README.sample("js", "new EventSource");
  await using folder = new DataFolder();
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  const cwd = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${cwd}/receive.mjs`, script.replaceAll(ADDRESS, program.url));
    match(README.text, /after `npm install eventsource`/);
    const install = await new Deno.Command("npm", { args: ["install", "eventsource"], cwd })
      .output();
    ok(install.success, new TextDecoder().decode(install.stderr));
    await fetch(`${program.url}/ingest/p_aBcDeF/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"name":"Luke Skywalker"}',
    }).then((response) => response.body?.cancel());
    const expected = "New event: EPOCH-1 { name: 'Luke Skywalker' }\n";
    equal(normal(await print("node receive.mjs", expected, { cwd })), expected);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

testInChromium("README's page receives an event", async () => {
  const [page] = README.samples("html");
  await using folder = new DataFolder();
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const file = stack.adopt(await Deno.makeTempFile({ suffix: ".html" }), Deno.remove);
  await Deno.writeTextFile(file, page!.replaceAll(ADDRESS, program.url));
  const tab = await browser.newPage();
  const said = tab.waitForEvent("console");
  await tab.goto(`file://${file}`);
  const [publish] = readCommands(README.sample("console", "/ingest"));
  const [command, answer] = publish!;
  await print(command.replaceAll(ADDRESS, program.url), answer);
  equal((await said).text(), 'New event from the event stream:  {"name":"Luke Skywalker"}');
});

/** Returns the documented settings for nginx, with another address of the service. */
function nginxSample(url: string): string {
  const settings = PROXIES_README.sample("nginx", "");
  ok(settings.includes(`proxy_pass ${ADDRESS.replace("localhost", "127.0.0.1")};`));
  return settings.replaceAll(/proxy_pass \S+;/g, `proxy_pass ${url};`);
}

testWithRequirements(
  [systemChromium, systemNginx],
  "The documented nginx forwards every event at once, and keeps a quiet stream open",
  async () => {
    await using folder = new DataFolder();
    await using program = await Program.start({
      RUNNEL_KV: folder.kv,
      RUNNEL_KEEPALIVE_MS: "250",
    });
    // Shorter, like the keep-alive interval.
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
    // The stream was open for longer than the read timeout of nginx.
    deepEqual(await said(), expected);
  },
);

/** Opens a stream at nginx from an address of this machine, and returns the status. */
async function openFrom(
  address: string,
  nginx: Nginx,
  headers: Record<string, string> = {},
): Promise<number> {
  const args = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const { stdout } = await new Deno.Command("curl", {
    args: ["-sI", "-X", "GET", "--interface", address, ...args, `${nginx.url}/pipelines/p_a/sse`],
  }).output();
  return Number(new TextDecoder().decode(stdout).split(" ")[1]);
}

/** Headers by which a client may pretend to have another address. */
const FORGED = {
  "X-Forwarded-For": "203.0.113.9",
  Forwarded: "for=203.0.113.9",
  "X-Real-IP": "203.0.113.9",
};

testWithRequirements(
  [systemNginx],
  "The documented nginx passes on the address of a client, and not what the client says it is",
  async () => {
    await using program = await Program.start({
      RUNNEL_KV: ":memory:",
      RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1",
      RUNNEL_TRUSTED_PROXIES: "1",
    });
    await using nginx = await Nginx.start(nginxSample(program.url));
    const stream = await fetch(`${nginx.url}/pipelines/p_a/sse`);
    equal(stream.status, 200);
    // The connection is from 127.0.0.1.
    equal(await openFrom("127.0.0.1", nginx), 429);
    equal(await openFrom("127.0.0.1", nginx, FORGED), 429);
    equal(await openFrom("127.0.0.2", nginx), 200);
    equal(await openFrom("127.0.0.3", nginx, { "X-Forwarded-For": "127.0.0.1" }), 200);
    deepEqual(program.complaints, []);
    // A request that goes around the proxy is counted, and reported once.
    for (let i = 0; i < 2; i++) {
      const around = await fetch(`${program.url}/pipelines/p_a/sse`);
      equal(around.status, 429);
      await around.body?.cancel();
    }
    await stream.body?.cancel();
    await eventually("it is reported", () => program.complaints.length > 0);
    equal(program.complaints.length, 1);
    match(program.complaints[0]!, /^A request of 127\.0\.0\.1 has no address in X-Forwarded-For/);
  },
);

testWithRequirements(
  [systemNginx],
  "The clients of the documented nginx are counted as one without RUNNEL_TRUSTED_PROXIES",
  async () => {
    await using program = await Program.start({
      RUNNEL_KV: ":memory:",
      RUNNEL_MAX_ADDRESS_SUBSCRIBERS: "1",
    });
    await using nginx = await Nginx.start(nginxSample(program.url));
    const stream = await fetch(`${nginx.url}/pipelines/p_a/sse`);
    equal(stream.status, 200);
    equal(await openFrom("127.0.0.2", nginx, FORGED), 429);
    const direct = await Promise.all([1, 2].map(() => fetch(`${program.url}/pipelines/p_a/sse`)));
    deepEqual(direct.map(({ status }) => status), [200, 200]);
    for (const { body } of [stream, ...direct]) await body?.cancel();
    await eventually("it is reported", () => program.complaints.length > 0);
    deepEqual(program.complaints.map((line) => /^A proxy of this machine/.test(line)), [true]);
  },
);

testWithRequirements(
  [systemNginx],
  "The documented limits of nginx end silent connections, and count those of an address",
  async () => {
    await using program = await Program.start({ RUNNEL_KV: ":memory:" });
    const limits = SERVICE_README.sample("nginx", "limit_conn_zone");
    const [http, server] = limits.split("\n\n");
    // Shorter and fewer.
    const fewer = server!.replace("timeout 10s", "timeout 1s").replace(
      "addresses 200",
      "addresses 2",
    );
    ok(fewer.includes("timeout 1s") && fewer.includes("addresses 2;"));
    await using nginx = await Nginx.start(`${fewer} ${nginxSample(program.url)}`, http);
    const silent = await sendRaw(Number(new URL(nginx.url).port), "GET / HT");
    equal(await readRaw(silent), "");
    silent.close();
    const open = () => fetch(`${nginx.url}/pipelines/p_a/sse`);
    const streams = await Promise.all([open(), open()]);
    deepEqual(streams.map(({ status }) => status), [200, 200]);
    const third = await fetch(`${nginx.url}/healthz`);
    equal(third.status, 503);
    // A reader comes back later.
    const fourth = await open();
    deepEqual([fourth.status, await fourth.text()], [200, "retry: 3000\n"]);
    for (const { body } of [third, ...streams]) await body?.cancel();
  },
);

Deno.test("/diagnose shows the documented settings of proxies", async () => {
  const html = await Deno.readTextFile(
    new URL("../../lib/pages/diagnose/diagnose.html", import.meta.url),
  );
  const shown = [...html.matchAll(/<pre[^>]*><code>([^]*?)<\/code>/g)].map(([, code]) =>
    code!.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")
  );
  for (const language of ["nginx", "caddyfile", "haproxy", "apache", "http"]) {
    const [settings] = PROXIES_README.samples(language);
    ok(shown.includes(settings!.trimEnd()), language);
  }
});

Deno.test("The documented claim is one that the service reads", () => {
  const { exp, runnel } = JSON.parse(ACCESS_README.sample("json", '"runnel"'));
  deepEqual(readGrant(runnel, exp * 1000), { ...runnel, endsAt: 1_800_000_000_000 });
});

Deno.test("The documented token opens a stream by the documented ticket", async () => {
  await using folder = new DataFolder();
  await using program = await Program.start({ ...TOKEN_SETTINGS, RUNNEL_KV: folder.kv });
  await using stack = new AsyncDisposableStack();
  const bin = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  // The shell must find the tested Deno as `deno`.
  await Deno.symlink(Deno.execPath(), `${bin}/deno`);
  const shell = async (command: string, env: Record<string, string>) => {
    const { stdout } = await new Deno.Command("bash", {
      args: ["-c", command],
      env: { ...env, PATH: `${bin}:${Deno.env.get("PATH")}` },
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).trimEnd();
  };
  const token = await shell(ACCESS_README.sample("sh", "task token"), {
    RUNNEL_TOKEN_SECRET: SECRET,
  });
  const command = ACCESS_README.sample("sh", "/tickets").replaceAll(ADDRESS, program.url);
  const { url, expires } = JSON.parse(await shell(command, { TOKEN: token }));
  ok(Date.parse(expires) > Date.now());
  const stream = new StreamReader(await fetch(url));
  await stream.until("runnel.live");
  await stream.cancel();
});

testWithDenokv("The documented processes share events through a KV server", async () => {
  const [secret, server, ...processes] = SERVICE_README.sample("sh", "denokv ").trimEnd().split(
    "\n",
  );
  equal(processes.length, 2);
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  // The shell must find the tested Deno as `deno`, and pass signals to it.
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
    // `deno task` forwards the signal, and leaves no process behind.
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

Deno.test("README names settings that exist, with their defaults", () => {
  // The demo reads this setting, not the service.
  const names: string[] = [...SETTING_NAMES, "RUNNEL_TOKEN"];
  for (const [name] of README.text.matchAll(/\bRUNNEL_\w+/g)) ok(names.includes(name), name);
  const rows = [...README.text.matchAll(/^\| `([A-Z_]+)` *\| `?([^|`]+?)`? *\|/gm)]
    .filter(([, name]) => names.includes(name!));
  ok(rows.length > 0);
  for (const [, name, value] of rows) {
    if (value !== "none") deepEqual(readConfig({ [name!]: value }), readConfig({}), name);
  }
});

const NOT_COMPRESSED = ", not compressed";

for (
  const [readme, heading, note] of [
    [README, "Guarantees and limits", NOT_COMPRESSED],
    [HTTP_README, "Limits", `${NOT_COMPRESSED}; for a ticket 20 KiB`],
    [WORKFLOW_README, "Limits", ""],
  ] as const
) {
  Deno.test(`${readme.path} names the limits of the code`, () => {
    const limits = Object.fromEntries(readme.rows(heading));
    equal(limits["Body of a request"], `${MAX_BODY_BYTES / 1024} KiB${note}`);
    equal(limits["Events of a request"], MAX_EVENTS.toLocaleString("en"));
    equal(
      limits["Payload"],
      `${MAX_PAYLOAD_BYTES / 1024} KiB as JSON in UTF-8, ${MAX_PAYLOAD_DEPTH} levels deep`,
    );
    if (note) equal(limits["A stream"], `${MAX_PIPELINES} pipelines, ${MAX_CHANNELS} channels`);
  });
}

testWithRequirements(
  [jq],
  "lib/http/README.md has a loop of long polls that prints a run",
  async () => {
    const loop = HTTP_README.sample("sh", "while page=");
    await using program = await Program.start({ RUNNEL_KV: ":memory:" });
    const pipeline = `${program.url}/pipelines/p_shop`;
    const publish = (lines: string) =>
      fetch(`${pipeline}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/x-ndjson" },
        body: lines,
      }).then((response) => response.body?.cancel());
    await publish('{"channel":"orders","payload":1}\n{"channel":"orders","payload":2}\n');
    // A loop that does not end fails.
    const child = new Deno.Command("timeout", {
      args: [String(PATIENCE_MS / 1000), "sh", "-c", loop.replaceAll(ADDRESS, program.url)],
      stdout: "piped",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    for (; printed.split("\n").length < 3;) printed += (await lines.read()).value!;
    // The loop waits for this event, and ends with the run.
    await publish('{"channel":"paid","payload":"a\\n%s","end":true}\n');
    for (let part = await lines.read(); !part.done; part = await lines.read()) {
      printed += part.value;
    }
    equal((await child.status).code, 0);
    const events = printed.trimEnd().split("\n").map((line) => JSON.parse(line));
    deepEqual(events.map(({ payload }) => payload), [1, 2, "a\n%s"]);
  },
);

Deno.test("lib/http/README.md names every route, and no other", () => {
  const documented = HTTP_README.rows("Routes").map(([route]) => route!.replaceAll("`", ""));
  const routes = Object.values(createRoutes(readConfig({})))
    .map((route) => `${route.method.toUpperCase()} ${route.getRoutingPath()}`)
    // The files of the pages are not part of the interface.
    .filter((route) => !route.startsWith("GET /assets/"));
  deepEqual(documented.toSorted(), routes.toSorted());
});

Deno.test("lib/http/README.md names every problem with its status, and no other", () => {
  const documented = HTTP_README.rows("Problems").map(([status, name]) =>
    `${status} ${name!.replaceAll("`", "")}`
  );
  const source = Deno.readTextFileSync(new URL("../../lib/base/errors.ts", import.meta.url));
  const types = [...source.matchAll(/^ {2}\| "([\w-]+)"/gm)].map(([, type]) => type!);
  ok(types.length > 0);
  const answers = [null, ...types].map((type) => {
    const error = type === null ? null : new RunnelError(type as RunnelErrorType, "");
    return { type, status: problem(error, { requestId: "r-1" }).status };
  });
  // Errors at the start are never sent, and internal ones are not named.
  const sent = answers.filter(({ type, status }) => type === null || status !== 500)
    .map(({ type, status }) => `${status} ${type ?? "internal"}`);
  deepEqual(documented.toSorted(), sent.toSorted());
});

Deno.test("tests/README.md names folders and files that exist", async () => {
  const readme = findReadme("tests/README.md");
  const folders = readme.rows("Folders").map(([folder]) => folder!);
  const files = readme.rows("Vocabulary").map(([file]) => `support/${file}`);
  for (const path of [...folders, ...files]) {
    await Deno.stat(new URL(path.replaceAll("`", ""), readme.url));
  }
});
