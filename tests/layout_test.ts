import { deepStrictEqual as deepEqual, match, ok } from "node:assert/strict";
import { dirname, join } from "node:path/posix";
import { findReadme } from "./support/readme.ts";

/**
 * The rooms that each room imports, from the top down. Not looked at: packages,
 * `deno.json`, and what is reached by URL: `service/isolate.ts`, which is the
 * main module of a Worker, and `pages/`, which are files for browsers.
 */
const ROOMS: Record<string, string[]> = {
  "main.ts": ["base", "config", "service"],
  service: [
    "access",
    "base",
    "config",
    "http",
    "hub",
    "kv",
    "log",
    "protocol",
    "sync",
    "telemetry",
  ],
  http: ["access", "base", "config", "hub", "protocol", "telemetry"],
  hub: ["base", "log", "protocol", "stream", "sync", "telemetry"],
  access: ["base", "config", "kv", "log", "protocol"],
  stream: ["base", "log", "protocol", "telemetry"],
  sync: ["base", "kv", "log"],
  log: ["base", "kv", "protocol", "telemetry"],
  telemetry: ["base", "protocol"],
  config: ["base", "protocol"],
  kv: ["base"],
  commands: ["access", "base", "config", "kv", "log", "workflow"],
  client: ["workflow"],
  workflow: ["protocol"],
  protocol: [],
  base: [],
};

/** Files that are imported past the front door of their room. */
const PAST_THE_DOOR = [
  // An npm package contains each file that it imports: it needs few of the other rooms.
  "workflow -> lib/protocol/event_rules.ts",
  "workflow -> lib/protocol/event_stream_reader.ts",
  "workflow -> lib/protocol/line_splitter.ts",
  "client -> lib/workflow/delivery.ts",
];

/** Rooms without a front door: nothing imports a program. */
const WITHOUT_DOOR = ["commands", "main.ts"];

type Graph = Map<string, Set<string>>;

const ROOT = new URL("../", import.meta.url);

const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

function listModules(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return folder + name === "lib/pages" ? [] : listModules(`${folder}${name}/`);
    return name.endsWith(".ts") ? [folder + name] : [];
  });
}

/** The room of a module: its folder in `lib/`, or its name if it is in none. */
const roomOf = (path: string) => /^lib\/([^/]+)/.exec(path)?.[1] ?? path;

const IMPORT =
  /^(?:(?:import|export)\b[^;"]*?\bfrom |import )"(\.[^"]+\.ts)"|\bimport\("(\.[^"]+)"/gm;

const modules = ["main.ts", ...listModules("lib/")];
const imports: Graph = new Map(modules.map((path) => {
  const found = read(path).matchAll(IMPORT);
  return [path, new Set([...found].map((found) => join(dirname(path), found[1] ?? found[2]!)))];
}));
const crossing = [...imports].flatMap(([path, targets]) =>
  [...targets].map((target): [string, string] => [path, target])
).filter(([path, target]) => roomOf(path) !== roomOf(target));

/** The first circle of a graph, or `null`. */
function findCircle(graph: Graph): string | null {
  const done = new Set<string>();
  const visit = (node: string, path: string[]): string | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node].join(" -> ");
    if (done.has(node)) return null;
    for (const next of graph.get(node) ?? []) {
      const circle = visit(next, [...path, node]);
      if (circle) return circle;
    }
    done.add(node);
    return null;
  };
  return graph.keys().map((node) => visit(node, [])).find((circle) => circle !== null) ?? null;
}

Deno.test("lib/ has the rooms of the table, and each imports exactly what the table says", () => {
  const rooms = Object.fromEntries(modules.map((path) => [roomOf(path), new Set<string>()]));
  for (const [path, target] of crossing) rooms[roomOf(path)]!.add(roomOf(target));
  deepEqual(
    Object.fromEntries(Object.entries(rooms).map(([room, to]) => [room, [...to].sort()])),
    ROOMS,
  );
});

Deno.test("lib/README.md has the table of the rooms, and names files that exist", () => {
  const readme = findReadme("lib/README.md");
  const rooms = readme.rows("Rooms").map(([room, _job, imports]) => [
    room!.replaceAll("`", ""),
    imports === "nothing" ? [] : imports!.split(", "),
  ]);
  deepEqual(rooms, Object.entries(ROOMS));
  for (const [, path] of readme.text.matchAll(/\b(\w+\/\w+\.ts)\b/g)) {
    if (!path!.startsWith("tests/")) ok(modules.includes(`lib/${path}`), path);
  }
});

Deno.test("lib/ imports other rooms through their front doors only", () => {
  const past = crossing.filter(([, target]) => target !== `lib/${roomOf(target)}/mod.ts`)
    .map(([path, target]) => `${roomOf(path)} -> ${target}`);
  deepEqual([...new Set(past)], PAST_THE_DOOR);
});

Deno.test("lib/ has no circle of rooms or of files", () => {
  const rooms = new Map(Object.entries(ROOMS).map(([room, to]) => [room, new Set(to)]));
  deepEqual([findCircle(rooms), findCircle(imports)], [null, null]);
});

for (const room of Object.keys(ROOMS).filter((room) => !WITHOUT_DOOR.includes(room))) {
  Deno.test(`lib/${room}/mod.ts re-exports names and does nothing else`, () => {
    const code = read(`lib/${room}/mod.ts`).replaceAll(/\/\*[^]*?\*\//g, "");
    match(code, /^\s*(export (type )?\{[^}]*\} from "[^"]+";\s*)+$/);
  });
}

/** Anything that a test in `deno task test:unit` does without. */
const OTHER_PROGRAM =
  /support\/(browser|isolates|programs|stores)\/|\bDeno\.Command\(|\bnew Worker\(/;

Deno.test("deno task test:unit runs the tests of the rooms, which start no other program", () => {
  const { tasks } = JSON.parse(read("deno.json"));
  const ignored = / --ignore=(\S+) tests$/.exec(tasks["test:unit"])![1]!.split(",");
  const paths = listModules("tests/").filter((path) =>
    path.endsWith("_test.ts") && path !== "tests/layout_test.ts" &&
    !ignored.some((folder) => path.startsWith(`${folder}/`))
  );
  ok(paths.length > 0);
  deepEqual(paths.filter((path) => OTHER_PROGRAM.test(read(path))), []);
});
