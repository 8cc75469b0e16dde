import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { EventSource } from "eventsource";
import { runTask, type TaskResult } from "../support/programs/task.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { startService } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

/** Address without a service. */
const NOWHERE = "http://127.0.0.1:9";

const USAGE = /deno task workflow FILE\.\.\. --pipeline p_aBcDeF \[options\]/;

/** Component file that runs some lines. */
const component = (lines: string, rest = "") =>
  `export default defineComponent({ ${rest} async run({ steps, $ }) { ${lines} } });\n`;

/** Runs files in their own folder with a service. Returns how it ended, and the stored events. */
async function run(
  files: Record<string, string>,
  args: readonly string[],
): Promise<
  TaskResult & {
    stored: { channel: string; payload: unknown }[];
    /** Number of events with which the run ended. */
    ended: number | undefined;
  }
> {
  await using folder = new TempFolder();
  for (const [name, content] of Object.entries(files)) await folder.write(name, content);
  await using service = await startService();
  await using server = serveLocally(service.fetch);
  const to = ["--pipeline", "p_a", "--url", server.url];
  const result = await runTask("workflow", { args: [...to, ...args], folder: folder.path });
  const history = await service.fetch(new Request("http://localhost/pipelines/p_a/events"));
  const { events, end } = await history.json();
  const stored = events.map(({ channel, payload }: { channel: string; payload: unknown }) => ({
    channel,
    payload,
  }));
  return { ...result, stored, ended: end?.events };
}

/** Replaces what differs from run to run. */
function normal(text: string): string {
  return text.replace(/[\w-]{11}-(\d+)/g, "EPOCH-$1");
}

Deno.test("deno task workflow runs files as steps, and prints the steps and the events", async () => {
  const { code, stdout, stderr, stored } = await run(
    {
      "first.js": component(`
        $.send.sse({ channel: "names", payload: steps.trigger.event.name });
        $.export("friends", ["Han", "Leia"]);
        return { id: 1n, self: steps };`),
      "second.ts": component(`
        const friends: string[] = steps.first.friends;
        for (const name of friends) $.send.sse({ channel: "names", payload: name });
        return steps.first.$return_value.id === 1n;`),
      "event.json": '{ "name": "Luke" }',
    },
    ["first.js", "./second.ts", "--event", "event.json"],
  );
  equal(stderr, "");
  equal(code, 0);
  deepEqual(stored, ["Luke", "Han", "Leia"].map((payload) => ({ channel: "names", payload })));
  equal(
    normal(stdout),
    `step first
  friends: [ "Han", "Leia" ]
  $return_value: {
    id: 1n,
    self: { trigger: { event: { name: "Luke" } } }
  }
step second
  $return_value: true
sent 3 events
  EPOCH-1 names
  EPOCH-2 names
  EPOCH-3 names
`,
  );
});

const greet = component(
  '$.send.sse({ channel: "greetings", payload: this.greet() });',
  `props: { name: { type: "string" }, greeting: { type: "string", default: "Hello" } },
   methods: { greet() { return this.greeting + ", " + this.name; } },`,
);

Deno.test("deno task workflow --props sets the props of one file, or of several by name", async () => {
  const props = JSON.stringify({ name: "Luke" });
  const one = await run({ "one.js": greet, props }, ["one.js", "--props", "props"]);
  deepEqual(one.stored, [{ channel: "greetings", payload: "Hello, Luke" }]);
  const both = JSON.stringify({ one: { name: "Luke" }, two: { name: "Han", greeting: "Hi" } });
  const files = { "one.js": greet, "two.js": greet, props: both };
  const two = await run(files, ["one.js", "two.js", "--props", "props"]);
  deepEqual(two.stored.map(({ payload }) => payload), ["Hello, Luke", "Hi, Han"]);
});

Deno.test("deno task workflow ends early and exits with 0 when a step calls $.flow.exit()", async () => {
  const { code, stdout, stored } = await run({
    "first.js": component(
      '$.send.sse({ channel: "c", payload: 1 }); return $.flow.exit("enough");',
    ),
    "second.js": component('$.send.sse({ channel: "c", payload: 2 });'),
  }, ["first.js", "second.js"]);
  equal(code, 0);
  equal(normal(stdout), "step first\nended early: enough\nsent 1 event\n  EPOCH-1 c\n");
  deepEqual(stored, [{ channel: "c", payload: 1 }]);
});

Deno.test("deno task workflow --live --steps --end sends while it runs, then ends the run", async () => {
  await using folder = new TempFolder();
  // Each step waits until a subscriber has what was sent: otherwise it fails.
  const expectSeen = (name: string) =>
    `if (!(await fetch(steps.trigger.event + "${name}")).ok) throw new Error("not seen");`;
  await folder.write(
    "first.js",
    component(`$.send.sse({ channel: "names", payload: "Luke" }); ${expectSeen("Luke")}`),
  );
  await folder.write(
    "second.js",
    component(`await $.send.sse.stream({ channel: "names", source: (async function* () {
      yield "Han"; ${expectSeen("Han")} yield "Leia";
    })() });`),
  );
  await using service = await startService();
  await using server = serveLocally(service.fetch);
  const received: string[] = [];
  await using witness = serveLocally(async ({ url }) => {
    const name = new URL(url).pathname.slice(1);
    await eventually(`it has received ${name}`, () => received.includes(`names "${name}"`));
    return new Response();
  });
  await folder.write("event.json", JSON.stringify(`${witness.url}/`));
  const stream = await service.subscribe("p_a/sse");
  const reading = (async () => {
    for (let event; (event = await stream.event());) {
      received.push(`${event.type} ${event.data}`);
    }
  })();
  const to = ["--pipeline", "p_a", "--url", server.url];
  const { code, stdout, stderr } = await runTask("workflow", {
    args: ["first.js", "second.js", ...to, "--event", "event.json", "--live", "--steps", "--end"],
    folder: folder.path,
  });
  deepEqual([code, stderr], [0, ""]);
  await eventually("the run has ended", () => received.at(-1)!.startsWith("runnel.end "));
  // The stream ends by itself.
  await reading;
  const step = (name: string, number: number, state: string) =>
    `steps {"step":"${name}","number":${number},"of":2,"state":"${state}"}`;
  deepEqual(received, [
    'runnel.live {"replayed":0}',
    step("first", 1, "started"),
    'names "Luke"',
    step("first", 1, "finished"),
    step("second", 2, "started"),
    'names "Han"',
    'names "Leia"',
    step("second", 2, "finished"),
    'runnel.end {"events":7}',
  ]);
  equal(
    normal(stdout),
    "step first\nstep second\nsent 7 events\n" +
      ["steps", "names", "steps", "steps", "names", "names", "steps"]
        .map((channel, index) => `  EPOCH-${index + 1} ${channel}\n`).join("") +
      "ended the run\n",
  );
});

Deno.test("deno task workflow --end ends the run when a step fails", async () => {
  const files = { "a.js": component('$.send.sse({ channel: "c", payload: 1 }); throw 1;') };
  const { code, ended } = await run(files, ["a.js", "--end"]);
  deepEqual([code, ended], [1, 1]);
});

Deno.test("deno task workflow delivers events and exits with 1 when a step fails", async () => {
  const { code, stdout, stderr, stored } = await run({
    "first.js": component('$.send.sse({ channel: "c", payload: 1 });'),
    "second.js": component('\n  $.send.sse({ channel: "c" });'),
    "third.js": component('$.send.sse({ channel: "c", payload: 3 });'),
  }, ["first.js", "second.js", "third.js"]);
  equal(code, 1);
  equal(normal(stdout), "step first\nsent 1 event\n  EPOCH-1 c\n");
  match(
    stderr,
    /^The step second failed: Cannot send: payload is missing\. Expected \$\.send\.sse/,
  );
  match(stderr, /second\.js:2:10/);
  deepEqual(stored, [{ channel: "c", payload: 1 }]);
});

Deno.test("deno task workflow delivers events and exits with 1 when background work fails", async () => {
  const { code, stdout, stderr, stored } = await run({
    "first.js": component(`
      $.send.sse({ channel: "c", payload: 1 });
      ["Luke"].forEach(async (name) => {
        while (!globalThis.hasRequested) await new Promise((resolve) => setTimeout(resolve));
        $.send.sse({ channel: "c", payload: name });
      });
      setTimeout(() => { throw new Error("no more droids"); });
      const { fetch } = globalThis;
      globalThis.fetch = (...args) => { globalThis.hasRequested = true; return fetch(...args); };`),
  }, ["first.js"]);
  equal(code, 1);
  match(stdout, /^sent 1 event$/m);
  match(
    stderr,
    /^Cannot finish background work: .*\n Error: Cannot send: the workflow has finished/m,
  );
  match(stderr, /Await everything in the step first that calls \$\.send\.sse\(\)/);
  match(stderr, /^Cannot finish background work: .*\n Error: no more droids/m);
  deepEqual(stored, [{ channel: "c", payload: 1 }]);
});

Deno.test("deno task workflow exits with 1 when a step awaits a promise that never settles", async () => {
  const { code, stdout, stderr } = await run({
    "first.js": component(""),
    "second.js": component("await new Promise(() => {});"),
  }, ["first.js", "second.js"]);
  equal(code, 1);
  equal(stdout, "step first\n");
  equal(
    stderr,
    "Cannot finish the workflow: a step awaits a promise that never settles. " +
      "Events that wait for the end of the workflow were not sent\n",
  );
});

const rights: [what: string, lines: string, needs: string][] = [
  ["write a file", 'Deno.writeTextFileSync(import.meta.filename, "");', "write access"],
  ["start a program", 'new Deno.Command("true").outputSync();', "run access"],
  ["read a variable", 'Deno.env.get("HOME");', "env access"],
];

for (const [what, lines, needs] of rights) {
  Deno.test(`deno task workflow does not let a component ${what}`, async () => {
    const { code, stderr, stored } = await run({ "a.js": component(lines) }, ["a.js"]);
    equal(code, 1);
    ok(stderr.startsWith(`The step a failed: Requires ${needs}`), stderr);
    deepEqual(stored, []);
  });
}

// Mistakes

const mistakes: {
  what: string;
  files: Record<string, string>;
  args: string[];
  says: RegExp;
  usage?: boolean;
}[] = [
  {
    what: "no file",
    files: {},
    args: [],
    says: /^Cannot run: no file is given\. Name a component file\n/,
    usage: true,
  },
  {
    what: "an unknown option",
    files: {},
    args: ["a.js", "--pipline", "p_a"],
    says: /^Cannot use --pipline: there is no such option. Did you mean --pipeline\?/,
    usage: true,
  },
  {
    what: "a missing file",
    files: {},
    args: ["a.js"],
    says: /^Cannot run a\.js: there is no such file/,
    usage: true,
  },
  {
    what: "a file without a default export",
    files: { "a.js": "export const a = 1;" },
    args: ["a.js"],
    says: /^Cannot run a\.js: expected export default defineComponent\(\{ async run\(\{ steps, \$/,
    usage: true,
  },
  {
    what: "a component without run",
    files: { "a.js": "export default defineComponent({});" },
    args: ["a.js"],
    says: /^Cannot load a\.js:\n TypeError: Cannot define the component: run is missing/,
  },
  {
    what: "a syntax error",
    files: { "a.js": component("\n  await") },
    args: ["a.js"],
    says: /^Cannot load a\.js:\n .*SyntaxError[^]*a\.js:2:/,
  },
  {
    what: "a file that throws",
    files: { "a.js": "\nundefined.foo();" },
    args: ["a.js"],
    says: /^Cannot load a\.js:\n TypeError: Cannot read properties[^]*a\.js:2:11/,
  },
  {
    what: "two files of one name",
    files: { "a.js": component(""), "a.ts": component("") },
    args: ["a.js", "a.ts"],
    says: /^Cannot run the workflow: the step name a is already used\. Rename the step\n$/,
  },
  {
    what: "an invalid pipeline",
    files: { "a.js": component("throw new Error('It ran')") },
    args: ["a.js", "--pipeline", "aBcDeF"],
    says: /^Cannot send to pipeline "aBcDeF": expected p_ followed by 1 to 62 letters/,
  },
  {
    what: "an empty pipeline",
    files: { "a.js": component("throw new Error('It ran')") },
    args: ["a.js", "--pipeline", ""],
    says: /^Cannot send: no pipeline is given\. Set it with --pipeline p_…/,
    usage: true,
  },
  {
    what: "an invalid URL",
    files: { "a.js": component("throw new Error('It ran')") },
    args: ["a.js", "--url", "localhost:8000"],
    says: /^Cannot send to "localhost:8000": expected an http or https URL\n$/,
  },
  {
    what: "an event that is not JSON",
    files: { "a.js": component(""), "event.json": "{" },
    args: ["a.js", "--event", "event.json"],
    says: /^Cannot read event\.json: Expected property name/,
    usage: true,
  },
  {
    what: "a missing event file",
    files: { "a.js": component("") },
    args: ["a.js", "--event", "event.json"],
    says: /^Cannot read event\.json: No such file/,
    usage: true,
  },
  {
    what: "props that are not an object",
    files: { "a.js": component(""), "props.json": "[]" },
    args: ["a.js", "--props", "props.json"],
    says: /^Cannot use props\.json: expected a JSON object/,
    usage: true,
  },
  {
    what: "props of an unknown step",
    files: { "a.js": greet, "b.js": greet, "props.json": '{"c":{}}' },
    args: ["a.js", "b.js", "--props", "props.json"],
    says: /^Cannot use props\.json: c: expected props by the name of a step: a, b/,
    usage: true,
  },
  {
    what: "a prop without a value",
    files: { "a.js": greet },
    args: ["a.js"],
    says: /^Cannot run the step a: its prop name has no value\. Set one in props\n$/,
  },
  {
    what: "an invalid timeout",
    files: { "a.js": component("") },
    args: ["a.js", "--timeout", "soon"],
    says: /^Cannot use --timeout soon: expected a number of seconds above 0/,
    usage: true,
  },
];

Deno.test("deno task workflow exits with 1 and says what to do after each mistake", async (t) => {
  // Two at a time: each one starts a process.
  const queue = [...mistakes];
  const results = new Map<string, TaskResult>();
  await Promise.all([0, 1].map(async () => {
    for (let next; (next = queue.shift());) {
      results.set(next.what, await run(next.files, next.args));
    }
  }));
  for (const { what, says, usage = false } of mistakes) {
    await t.step(what, () => {
      const { code, stdout, stderr } = results.get(what)!;
      match(stderr, says);
      equal(USAGE.test(stderr), usage);
      deepEqual([code, stdout.replace("sent 0 events\n", "")], [1, ""]);
    });
  }
});

Deno.test("deno task workflow --help prints the usage", async () => {
  const { code, stdout, stderr } = await runTask("workflow", { args: ["--help"] });
  match(stdout, USAGE);
  deepEqual([code, stderr], [0, ""]);
});

// The service

Deno.test("deno task workflow retries until its timeout when the service is missing", async () => {
  await using folder = new TempFolder();
  await folder.write("a.js", component('$.send.sse({ channel: "c", payload: 1 });'));
  const { code, stdout, stderr } = await runTask("workflow", {
    args: ["a.js", "--pipeline", "p_a", "--url", NOWHERE, "--timeout", "0.3"],
    folder: folder.path,
  });
  equal(code, 1);
  equal(stdout, "step a\nsent 0 events\n");
  const again = `${NOWHERE}/ingest did not answer. Trying again\n`;
  const end = `Cannot deliver 1 of 1 events: ${NOWHERE}/ingest did not answer. Gave up at attempt `;
  // One line for all attempts with the same failure.
  const [first, last, ...others] = stderr.split("\n");
  equal(`${first}\n`, again);
  equal(last!.slice(0, end.length), end);
  deepEqual(others, [""]);
});

Deno.test("deno task workflow sends RUNNEL_TOKEN, or --token instead", async () => {
  const seen: (string | null)[] = [];
  await using server = serveLocally((request) => {
    seen.push(request.headers.get("Authorization"));
    return Promise.resolve(new Response(null, { status: 401 }));
  });
  await using folder = new TempFolder();
  await folder.write("a.js", component('$.send.sse({ channel: "c", payload: 1 });'));
  const args = ["a.js", "--pipeline", "p_a", "--url", server.url];
  const options = { folder: folder.path, token: "of-the-environment" };
  const { code, stderr } = await runTask("workflow", { ...options, args });
  await runTask("workflow", { ...options, args: [...args, "--token", "given"] });
  deepEqual(seen, ["Bearer of-the-environment", "Bearer given"]);
  equal(code, 1);
  equal(stderr, `Cannot deliver 1 of 1 events: ${server.url}/ingest answered 401\n`);
});

// The seed document

const seeds: [file: string, channel: string, names: string[]][] = [
  ["single_event.js", "events", ["Luke Skywalker"]],
  ["names.js", "names", ["Luke", "Han", "Leia", "Obi Wan"]],
  ["component_action.js", "events", ["Luke Skywalker"]],
];

for (const [file, channel, names] of seeds) {
  Deno.test(`deno task workflow runs seed/${file}, and an EventSource receives it`, async () => {
    await using service = await startService();
    await using server = serveLocally(service.fetch);
    const source = new EventSource(`${server.url}/pipelines/p_a/sse`);
    try {
      const received: { data: unknown; id: string }[] = [];
      source.addEventListener(channel, ({ data, lastEventId }) => {
        received.push({ data: JSON.parse(data), id: lastEventId });
      });
      await eventually("it is connected", () => source.readyState === source.OPEN);
      const folder = new URL("../seed/", import.meta.url).pathname;
      const args = [file, "--pipeline", "p_a", "--url", server.url];
      const { code, stdout, stderr } = await runTask("workflow", { args, folder });
      deepEqual([code, stderr], [0, ""]);
      await eventually("it has received all events", () => received.length >= names.length);
      deepEqual(received.map(({ data }) => data), names.map((name) => ({ name })));
      for (const { id } of received) ok(stdout.includes(`  ${id} ${channel}\n`));
    } finally {
      source.close();
    }
  });
}
