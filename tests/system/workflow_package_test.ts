import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import type { Actions } from "../../lib/workflow/mod.ts";
import manifest from "../../lib/workflow.deno.json" with { type: "json" };
import { launchChromium, systemChromium } from "../support/browser/chromium.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { createProject, node, run } from "../support/programs/workflow_package.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { startService } from "../support/service.ts";

const ROOT = new URL("../../", import.meta.url);

/** Reads all files of a folder and its subfolders. Their keys are their paths in the folder. */
async function readFiles(folder: string, below = ""): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${below}`)) {
    const path = `${below}${name}`;
    if (!isDirectory) files.set(path, await Deno.readTextFile(`${folder}/${path}`));
    else for (const entry of await readFiles(folder, `${path}/`)) files.set(...entry);
  }
  return files;
}

const SCRIPT = `
import { defineComponent, DeliveryError, runWorkflow, StepError } from "@runnel/workflow";

const [url] = process.argv.slice(2);
const greet = defineComponent({
  props: { name: { type: "string" } },
  async run({ steps, $ }) {
    $.send.sse({ channel: "greetings", payload: { to: this.name, by: steps.trigger.event } });
    try {
      let payload = [];
      for (let level = 0; level < 25_000; level++) payload = [payload];
      $.send.sse({ channel: "greetings", payload });
    } catch (error) {
      console.log(error.name, error.message);
    }
  },
});
const workflow = { pipeline: "p_a", url, event: "Leia" };
const steps = [{ name: "greet", component: greet, props: { name: "Luke" } }];
const { delivered } = await runWorkflow({ ...workflow, steps });
console.log(delivered.map(({ channel }) => channel), typeof delivered[0].id);

const fail = { name: "fail", component: { run() { throw new Error("no more droids"); } } };
await runWorkflow({ ...workflow, steps: [...steps, fail] }).catch((error) => {
  console.log(error instanceof StepError, error.message, error.delivered.length);
});
const nowhere = { ...workflow, steps, url: "http://127.0.0.1:9", delivery: { maxMs: 50.5 } };
await runWorkflow(nowhere).catch((error) => {
  console.log(error instanceof DeliveryError, error.status, error.unsent[0].events);
});
`;

const STREAM_SCRIPT = `
import { Readable } from "node:stream";
import { DeliveryError, runWorkflow } from "@runnel/workflow";

const [url] = process.argv.slice(2);
async function* tokens() {
  yield "Luke";
  yield { name: "Han" };
}
const respond = (body, type) => new Response(body, { headers: { "Content-Type": type } });
const sources = [
  tokens(),
  new Blob(["Leia"]).stream(),
  Readable.from([Buffer.from("Obi Wan")]),
  respond('data: {"name":"Padmé"}\\n\\ndata: 1.0\\n\\n', "text/event-stream"),
  respond('["Lando"]\\n2', "application/x-ndjson"),
];
const ask = {
  async run({ $ }) {
    $.send.sse({ channel: "names", payload: 0 });
    for (const source of sources) {
      console.log(await $.send.sse.stream({ channel: "names", source }));
    }
  },
};
const steps = [{ name: "ask", component: ask }];
const workflow = { pipeline: "p_run", url, steps, live: true, announceSteps: true };
const { delivered } = await runWorkflow({ ...workflow, end: true });
console.log(delivered.length);

let wasReturned = false;
const endless = async function* () {
  try {
    for (;;) yield await new Promise((resolve) => setTimeout(resolve, 1, "Luke"));
  } finally {
    wasReturned = true;
  }
};
const late = { run: ({ $ }) => $.send.sse.stream({ channel: "names", source: endless() }) };
await runWorkflow({ ...workflow, steps: [{ name: "late", component: late }] }).catch((error) => {
  console.log(error.name, error.cause instanceof DeliveryError, error.delivery.status);
});
await new Promise((resolve) => setTimeout(resolve, 2));
console.log(wasReturned);
`;

const STREAM_PRINTED = `2
1
1
2
2
11
StepError true 409
true
`;

const PRINTED = `RangeError Cannot send: payload: it is more than 512 levels deep
[ 'greetings' ] string
RangeError Cannot send: payload: it is more than 512 levels deep
true The step fail failed: no more droids 1
RangeError Cannot send: payload: it is more than 512 levels deep
true null [ { channel: 'greetings', payload: { to: 'Luke', by: 'Leia' } } ]
`;

const CONSUMER = `
import {
  type Component,
  defineComponent,
  type DeliveredEvent,
  DeliveryError,
  type Fetch,
  runWorkflow,
  type SseEvent,
  type SseSource,
  StepError,
} from "@runnel/workflow";

const event: SseEvent = { channel: "greetings", payload: { name: "Luke" } };
const greet: Component = defineComponent({
  key: "greet",
  props: { name: { type: "string" }, greeting: { type: "string", default: "Hello" } },
  methods: {
    greet(end: string): string {
      return \`\${this.greeting}, \${this.name}\${end}\`;
    },
  },
  async run({ steps, $ }) {
    $.send.sse(event);
    $.send.sse({ channel: "greetings", payload: this.greet("!").toUpperCase() });
    const source: SseSource = await fetch("https://model.example");
    const count: number = await $.send.sse.stream({ channel: "greetings", source });
    await $.send.sse.stream({ channel: "greetings", source: new Blob(["Luke"]).stream() });
    await $.send.sse.stream({ channel: "greetings", source: (async function* () { yield count; })() });
    // @ts-expect-error: a promise is no source.
    await $.send.sse.stream({ channel: "greetings", source: fetch("https://model.example") });
    $.export("seen", steps.trigger.event);
    // @ts-expect-error: a payload is required.
    $.send.sse({ channel: "greetings" });
    // @ts-expect-error: it has no such prop.
    return this.nmae;
  },
});
// @ts-expect-error: run is required.
defineComponent({ props: {} });

const fetcher: Fetch = (url, init) => fetch(url, init);
try {
  const steps = [{ name: "greet", component: greet, props: { name: "Luke" } }];
  const { delivered } = await runWorkflow({
    pipeline: "p_a",
    steps,
    live: true,
    announceSteps: true,
    end: true,
    delivery: { fetch: fetcher },
  });
  const events: readonly DeliveredEvent[] = delivered;
  console.log(events);
} catch (error) {
  if (error instanceof StepError) console.log(error.step, error.delivery?.unsent);
  if (error instanceof DeliveryError) console.log(error.unsent[0]?.idempotencyKey, error.status);
}
`;

const TSCONFIG = JSON.stringify({
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    lib: ["es2022", "dom"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    skipLibCheck: false,
    noEmit: true,
  },
  files: ["consumer.ts"],
});

testWithRequirements(
  [node],
  "deno task pack creates a package for Node, TypeScript and npm",
  async () => {
    await using project = await createProject();
    const files = await readFiles(`${project.path}/node_modules/@runnel/workflow`);
    ok(files.has("workflow/mod.js") && files.has("workflow/mod.d.ts"));
    for (const [path, text] of files) {
      match(
        path,
        /^(package\.json|README\.md|LICENSE|(protocol|workflow)\/\w+(\.js|\.d\.ts))$/,
      );
      ok(!text.includes(ROOT.pathname) && !text.includes("file://"), path);
    }
    equal(files.get("README.md"), await Deno.readTextFile(new URL("lib/workflow/README.md", ROOT)));
    equal(files.get("LICENSE"), await Deno.readTextFile(new URL("LICENSE", ROOT)));
    const { name, version, license, dependencies = {} } = JSON.parse(files.get("package.json")!);
    deepEqual({ name, version, license, dependencies }, {
      name: manifest.name,
      version: denoJson.version,
      license: denoJson.license,
      dependencies: {},
    });

    await using service = await startService();
    await using server = serveLocally(service.fetch);
    await project.write("send.js", SCRIPT);
    equal(await run("node", ["send.js", server.url], project.path), PRINTED);
    const stream = await service.subscribe("p_a/sse");
    const events = await stream.until("runnel.live");
    await stream.cancel();
    const sent = { type: "greetings", data: '{"to":"Luke","by":"Leia"}' };
    deepEqual(events.slice(0, -1).map(({ type, data }) => ({ type, data })), [sent, sent]);

    await project.write("stream.js", STREAM_SCRIPT);
    equal(await run("node", ["stream.js", server.url], project.path), STREAM_PRINTED);
    const ended = await service.subscribe("p_run/sse");
    const received = (await ended.until("runnel.end")).map(({ type, data }) => `${type} ${data}`);
    const place = '"step":"ask","number":1,"of":1';
    const names = ['"Luke"', '{"name":"Han"}', '"Leia"', '"Obi Wan"', '{"name":"Padmé"}', '"1.0"'];
    deepEqual(received, [
      `steps {${place},"state":"started"}`,
      ...["0", ...names, '["Lando"]', "2"].map((data) => `names ${data}`),
      `steps {${place},"state":"finished"}`,
      'runnel.live {"replayed":11}',
      'runnel.end {"events":11}',
    ]);

    await project.write("consumer.ts", CONSUMER);
    await project.write("tsconfig.json", TSCONFIG);
    const tsc = "npm:typescript@^6.0.3/tsc";
    equal(
      await run(Deno.execPath(), ["run", "-A", "--no-lock", tsc, "--project", project.path], ROOT),
      "",
    );
  },
);

Deno.test("lib/workflow/mod.ts imports only its own files, and uses only globals of every platform", async () => {
  const info = await run(Deno.execPath(), ["info", "--json", "lib/workflow/mod.ts"], ROOT);
  const { modules } = JSON.parse(info) as { modules: { specifier: string }[] };
  ok(modules.length > 5);
  for (const { specifier } of modules) {
    match(specifier.slice(ROOT.href.length), /^lib\/(protocol|workflow)\/\w+\.ts$/);
    const source = await Deno.readTextFile(new URL(specifier));
    const code = source.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
    equal(
      /\b(Deno|process|Buffer|require|window|document)\b/.exec(code)?.[0],
      undefined,
      specifier,
    );
  }
});

Deno.test("lib/workflow/mod.ts shows the tested script of its README", async () => {
  const source = await Deno.readTextFile(new URL("lib/workflow/mod.ts", ROOT));
  const [, sample] = /```ts ignore\n(.*?) \* ```/s.exec(source)!;
  const readme = await Deno.readTextFile(new URL("lib/workflow/README.md", ROOT));
  ok(readme.includes(`\n${sample!.replaceAll(/^ \* ?/gm, "")}\`\`\`\n`));
});

testWithRequirements(
  [node, systemChromium],
  "deno task pack creates modules that a page of another origin can use",
  async () => {
    await using project = await createProject();
    const files = await readFiles(`${project.path}/node_modules/@runnel/workflow`);
    await using pages = serveLocally((request) => {
      const path = new URL(request.url).pathname.slice(1);
      const type = path === "" ? "text/html" : "text/javascript";
      return Promise.resolve(
        new Response(files.get(path) ?? "<!DOCTYPE html>", { headers: { "Content-Type": type } }),
      );
    });
    await using service = await startService();
    await using server = serveLocally(service.fetch);
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const page = await browser.newPage();
    await page.goto(pages.url);
    const outcomes = await page.evaluate(async ([module, url]) => {
      const { defineComponent, runWorkflow } = await import(module!);
      const component = defineComponent({
        run({ $ }: { $: Actions }) {
          for (const payload of ["Luke", "Han"]) $.send.sse({ channel: "names", payload });
          const source = new Response("data: Leia\n\n", {
            headers: { "Content-Type": "text/event-stream" },
          });
          return $.send.sse.stream({ channel: "names", source });
        },
      });
      const steps = [{ name: "send", component }];
      const workflow = { pipeline: "p_a", url, token: "t-1", steps };
      const { delivered } = await runWorkflow(workflow);
      const elsewhere = { ...workflow, url: `${url}/elsewhere` };
      const error = await runWorkflow(elsewhere).catch((error: unknown) => error);
      return [delivered.length, error.delivery.status, error.message.replace(/\d of \d/, "some")];
    }, [`${pages.url}/workflow/mod.js`, server.url]);
    deepEqual(outcomes, [
      3,
      404,
      `The step send failed: Cannot deliver some events: ${server.url}/elsewhere/ingest answered 404: ` +
      "No such route. See GET /openapi.json for all routes",
    ]);
    const history = await service.fetch(new Request("http://localhost/pipelines/p_a/events"));
    const { events } = await history.json();
    deepEqual(events.map(({ payload }: { payload: string }) => payload), ["Luke", "Han", "Leia"]);
  },
);
