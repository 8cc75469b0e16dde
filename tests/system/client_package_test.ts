import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import manifest from "../../lib/client.deno.json" with { type: "json" };
import { systemClock } from "../../lib/base/clock.ts";
import { launchChromium, systemChromium } from "../support/browser/chromium.ts";
import { type Requirement, testWithRequirements } from "../support/programs/requirements.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { answers, createProject, node, run } from "../support/programs/workflow_package.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { eventually } from "../support/wait.ts";

const ROOT = new URL("../../", import.meta.url);

/** Maximum size of what `subscribe()` needs, minified and compressed by gzip, in bytes. */
const MAX_BYTES = 4096;

const bun: Requirement = {
  isInstalled: await answers("bun"),
  install: "npm install -g bun",
};

/** A program of a user, which prints what it receives. */
const SCRIPT = `
import { subscribe, SubscribeError } from "@runnel/client";
import { append, DeliveryError, publish } from "@runnel/client/publish";

const [url] = process.argv.slice(2);
const event = { pipeline: "p_a", channel: "names", payload: "Luke" };
const [first] = await publish(url, event, { key: "k" });
const [again] = await publish(url, [event], { key: "k" });
console.log(first.id === again.id);

async function* tokens() {
  yield "Leia";
  yield { name: "Han" };
}
console.log((await append(url, "p_b", tokens(), { channel: "names", end: true })).length);

const subscription = subscribe(url, { pipelines: ["p_a", "p_b"] });
const lives = new Set();
for await (const { type, pipeline, channel, payload, events } of subscription) {
  console.log(type, pipeline, channel ?? "-", JSON.stringify(payload ?? events ?? null));
  if (type === "live") lives.add(pipeline);
  if (type === "end") break;
}
console.log(subscription.state.name, subscription.lastEventId.split(".").length);

await publish(url, { ...event, pipeline: "p_b" }).catch((error) => {
  console.log(error instanceof DeliveryError, error.status);
});
try {
  for await (const _ of subscribe(url + "/elsewhere", { pipelines: "p_a" }));
} catch (error) {
  console.log(error instanceof SubscribeError, error.status);
}
`;

const PRINTED = `true
2
event p_a names "Luke"
event p_b names "Leia"
event p_b names {"name":"Han"}
live p_a - null
live p_b - null
end p_b - 2
closed 2
true 409
true 404
`;

/** The lines of a text, sorted: there is no order between pipelines. */
const sorted = (text: string) => text.split("\n").sort();

const CONSUMER = `
import {
  type ClientEvent,
  type ConnectionState,
  subscribe,
  SubscribeError,
  type Subscription,
} from "@runnel/client";
import { append, publish, type DeliveredEvent, type NewEvent } from "@runnel/client/publish";

const subscription: Subscription = subscribe(new URL("https://events.example"), {
  pipelines: ["p_a", "p_b"],
  channels: ["names"],
  history: "all",
  since: new Date(0),
  getToken: async ({ reason, lastEventId }) => reason + lastEventId,
  signal: new AbortController().signal,
  storage: localStorage,
  onState(state: ConnectionState) {
    if (state.name === "waiting") console.log(state.ms, state.reason, state.transport);
    // @ts-expect-error: only a state that waits has a time.
    console.log(state.ms);
  },
});
try {
  for await (const event of subscription) {
    const any: ClientEvent = event;
    if (event.type === "event") console.log(event.channel, event.payload.name, any.pipeline);
    // @ts-expect-error: only an event has a channel.
    console.log(event.channel);
    if (event.type === "gap") console.log(event.missed?.toFixed(), event.reason);
  }
} catch (error) {
  if (error instanceof SubscribeError) console.log(error.status, error.type, error.detail);
}
// @ts-expect-error: pipelines are required.
subscribe("https://events.example", {});

const event: NewEvent = { pipeline: "p_a", channel: "names", payload: { name: "Luke" } };
const delivered: readonly DeliveredEvent[] = await publish("https://events.example", event);
const answer = await fetch("https://model.example");
await append("https://events.example", "p_a", answer, { channel: "names", end: true });
// @ts-expect-error: a channel is required.
await append("https://events.example", "p_a", answer, {});
console.log(delivered);
`;

const TSCONFIG = JSON.stringify({
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    lib: ["es2022", "dom", "esnext.disposable"],
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
  "deno task pack creates a client for Node, Deno, TypeScript and npm",
  async () => {
    await using project = await createProject(["client"]);
    const folder = `${project.path}/node_modules/@runnel/client`;
    const packed = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
    const { name, version, license, dependencies = {} } = packed;
    deepEqual({ name, version, license, dependencies }, {
      name: manifest.name,
      version: denoJson.version,
      license: denoJson.license,
      dependencies: {},
    });
    for (const room of ["client", "protocol", "workflow"]) {
      for await (const { name } of Deno.readDir(`${folder}/${room}`)) {
        // Each module of the package is needed by one of its entries.
        match(name, /^\w+(\.js|\.d\.ts)$/);
        const text = await Deno.readTextFile(`${folder}/${room}/${name}`);
        ok(!text.includes(ROOT.pathname) && !text.includes("file://"), name);
      }
    }
    equal(
      await Deno.readTextFile(`${folder}/README.md`),
      await Deno.readTextFile(new URL("lib/client/README.md", ROOT)),
    );
    await project.write("script.js", SCRIPT);
    for (
      const [program, args] of [["node", []], [Deno.execPath(), [
        "run",
        "-A",
        "--no-lock",
      ]]] as const
    ) {
      await using service = await serveService({ clock: systemClock });
      const printed = await run(program, [...args, "script.js", service.url], project.path);
      deepEqual(sorted(printed), sorted(PRINTED));
    }
    await project.write("consumer.ts", CONSUMER);
    await project.write("tsconfig.json", TSCONFIG);
    const tsc = "npm:typescript@^6.0.3/tsc";
    equal(
      await run(Deno.execPath(), ["run", "-A", "--no-lock", tsc, "--project", project.path], ROOT),
      "",
    );
  },
);

testWithRequirements([node, bun], "deno task pack creates a client for Bun", async () => {
  await using project = await createProject(["client"]);
  await project.write("script.js", SCRIPT);
  await using service = await serveService({ clock: systemClock });
  const printed = await run("bun", ["run", "script.js", service.url], project.path);
  deepEqual(sorted(printed), sorted(PRINTED));
});

Deno.test("subscribe() has less than 4 KB, minified and compressed by gzip", async () => {
  await using folder = new TempFolder();
  const bundle = `${folder.path}/client.js`;
  const args = ["bundle", "--quiet", "--minify", "--platform", "browser", "--output", bundle];
  await run(Deno.execPath(), [...args, "lib/client/mod.ts"], ROOT);
  const code = await Deno.readFile(bundle);
  const compressed = new Blob([code]).stream().pipeThrough(new CompressionStream("gzip"));
  const { byteLength } = await new Response(compressed).arrayBuffer();
  ok(code.byteLength > MAX_BYTES, "It is what was bundled");
  ok(byteLength < MAX_BYTES, `${byteLength} bytes`);
});

/** Globals that not every platform has. */
const FOREIGN = /\b(Deno|process|Buffer|require|window)\b/;

Deno.test("lib/client imports nothing but the delivery, and uses only globals of every platform", async () => {
  for (const path of ["lib/client/mod.ts", "lib/client/publish.ts"]) {
    const info = await run(Deno.execPath(), ["info", "--json", path], ROOT);
    const { modules } = JSON.parse(info) as { modules: { specifier: string }[] };
    ok(modules.length > 5);
    for (const { specifier } of modules) {
      const rooms = path.endsWith("mod.ts")
        ? /^lib\/client\//
        : /^lib\/(client|workflow|protocol)\//;
      match(specifier.slice(ROOT.href.length), rooms);
      const source = await Deno.readTextFile(new URL(specifier));
      const code = source.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
      equal(FOREIGN.exec(code)?.[0], undefined, specifier);
    }
  }
});

testWithRequirements(
  [systemChromium],
  "A page of another origin uses the modules that the service has",
  async () => {
    await using pages = serveLocally(() =>
      Promise.resolve(
        new Response("<!DOCTYPE html>", { headers: { "Content-Type": "text/html" } }),
      )
    );
    await using service = await serveService({ clock: systemClock });
    await service.publish("p_a", "names", "Luke");
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const page = await browser.newPage();
    await page.goto(pages.url);
    const received = await page.evaluate(async (url) => {
      const { subscribe } = await import(`${url}/assets/client/mod.js`);
      const seen: string[] = [];
      const options = { pipelines: ["p_a", "p_b"], resumeKey: "names" };
      for await (const { type, channel, payload } of subscribe(url, options)) {
        seen.push(`${type} ${channel ?? ""} ${payload ?? ""}`);
        if (seen.length === 3) break;
      }
      return [...seen, sessionStorage.getItem("names")];
    }, service.url);
    match(received.pop()!, /^[\w-]{11}-1/);
    deepEqual(received, ["event names Luke", "live  ", "live  "]);
    // The loop has let go of the connection.
    await eventually("the stream is closed", () => service.hub.stats.subscribers === 0);
    await service.publish("p_a", "names", "Leia");
    await page.reload();
    const [next] = await page.evaluate(async (url) => {
      const { subscribe } = await import(`${url}/assets/client/mod.js`);
      const options = { pipelines: ["p_a", "p_b"], resumeKey: "names" };
      for await (const { payload } of subscribe(url, options)) return [payload];
      return [];
    }, service.url);
    equal(next, "Leia");
  },
);
