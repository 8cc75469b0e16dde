import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { type ReceivedEvent, StreamReader } from "../support/clients/stream_reader.ts";
import { DataFolder, type Environment, Program } from "../support/programs/program.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { eventually } from "../support/wait.ts";

/** Time that a platform gives a process after its signal, in milliseconds. */
const DRAIN_MS = 5000;

const PUBLISHERS = 8;

/** Number of events of 60 KB that exceeds the buffers of a connection. */
const HISTORY = 160;

// Refusing to start

const refusals: {
  what: string;
  expected: RegExp;
  /** Creates the cause. */
  set: (folder: DataFolder, stack: AsyncDisposableStack) => Promise<Environment>;
}[] = [
  {
    what: "a port in use",
    expected: /^Cannot start: port \d+ is in use\. Stop what uses it, or set PORT to another$/,
    set: (_, stack) => {
      const { addr } = stack.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
      return Promise.resolve({ RUNNEL_KV: ":memory:", PORT: String(addr.port) });
    },
  },
  {
    what: "an address of another machine",
    expected: /^Cannot start: .*HOST.*"192\.0\.2\.1"/,
    set: () => Promise.resolve({ RUNNEL_KV: ":memory:", HOST: "192.0.2.1" }),
  },
  {
    what: "an invalid setting",
    expected:
      /^Cannot start: RUNNEL_KEEPALIVE_MS is "soon", expected a whole number from \d+ to \d+$/,
    set: () => Promise.resolve({ RUNNEL_KEEPALIVE_MS: "soon" }),
  },
  {
    what: "a log in a folder that is a file",
    expected:
      /^Cannot open the store: RUNNEL_KV is \S+\/file\/runnel\.sqlite, which fails .*Name a/,
    set: async (folder) => ({ RUNNEL_KV: `${await folder.make("file", "")}/runnel.sqlite` }),
  },
  {
    what: "a log that is a folder",
    expected: /^Cannot open the store: RUNNEL_KV is \S+\/folder, which fails .*Name a file/,
    set: async (folder) => ({ RUNNEL_KV: await folder.make("folder") }),
  },
  {
    what: "a log that is not a database",
    expected: /^Cannot open the store: RUNNEL_KV is \S+\/text, which fails .*Name a file/,
    set: async (folder) => ({ RUNNEL_KV: await folder.make("text", "To be or not to be\n") }),
  },
  {
    what: "a log without a permission",
    expected:
      /^Cannot start: no permission for \/nowhere\. .*--allow-write=\/nowhere \S+\/main\.ts$/,
    set: () => Promise.resolve({ RUNNEL_KV: "/nowhere/runnel.sqlite" }),
  },
  {
    what: "a log that another process uses",
    expected:
      /^Cannot start: \S+\/runnel\.sqlite is in use by process \d+\. Stop that one, or name/,
    set: async (folder, stack) => {
      const settings = { RUNNEL_KV: folder.kv };
      stack.use(await Program.start(settings));
      return settings;
    },
  },
];

for (const { what, expected, set } of refusals) {
  Deno.test(`main.ts refuses ${what}, and prints a remedy in one line`, async () => {
    await using folder = new DataFolder();
    await using stack = new AsyncDisposableStack();
    const { code, lines } = await Program.startExpectingFailure(await set(folder, stack));
    equal(lines.length, 1, lines.join("\n"));
    match(lines[0]!, expected);
    equal(code, 1);
  });
}

Deno.test({
  name: "main.ts refuses a log that is not writable, and prints a remedy in one line",
  // Nothing is forbidden to root.
  ignore: Deno.uid() === 0,
  async fn() {
    await using folder = new DataFolder();
    await folder.forbid();
    const { code, lines } = await Program.startExpectingFailure({ RUNNEL_KV: folder.kv });
    equal(lines.length, 1, lines.join("\n"));
    match(lines[0]!, /^Cannot open the store: RUNNEL_KV is \S+, which fails .*Name a file/);
    equal(code, 1);
  },
});

Deno.test("main.ts starts by the command that it prints if a permission is missing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const RUNNEL_KV = `${folder}/runnel.sqlite`;
    const { lines } = await Program.startExpectingFailure({ RUNNEL_KV });
    const command = /start with: RUNNEL_KV=(\S+) deno (.*)$/.exec(lines[0]!)!;
    equal(command[1], RUNNEL_KV);
    await using program = await Program.start({ RUNNEL_KV }, [
      Deno.execPath(),
      ...command[2]!.split(" "),
    ]);
    await publish(program, { publisher: 0, number: 1 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// Publishing and reading back

/** Publisher of an event, and its number. */
interface Payload {
  publisher: number;
  number: number;
}

async function publish(
  { url }: Program,
  payload: Payload,
  headers: Record<string, string> = {},
): Promise<{ status: number; id: string; replayed: boolean }> {
  const response = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ pipeline: "p_a", channel: "events", payload }),
  });
  const answer = await response.json();
  const id = response.status === 202 ? answer.events[0].id : "";
  return { status: response.status, id, replayed: response.headers.has("Idempotency-Replayed") };
}

/** A burst of posts by several publishers, each of which waits for its answers. */
class Burst {
  /** Payloads of accepted events, by event ID. */
  readonly accepted = new Map<string, Payload>();
  /** Payloads of refused events. */
  readonly refused: Payload[] = [];
  /** Resolves when every publisher has got a refusal or a closed connection. */
  readonly ended: Promise<unknown>;

  constructor(program: Program, headers?: (payload: Payload) => Record<string, string>) {
    const post = async (publisher: number) => {
      for (let number = 1;; number++) {
        const payload = { publisher, number };
        try {
          const { status, id } = await publish(program, payload, headers?.(payload));
          if (status !== 202) return this.refused.push(payload);
          this.accepted.set(id, payload);
        } catch (error) {
          if (error instanceof TypeError) return;
          throw error;
        }
      }
    };
    this.ended = Promise.all(Array.from({ length: PUBLISHERS }, (_, index) => post(index)));
  }
}

async function subscribe({ url }: Program, pipelineAndQuery: string): Promise<StreamReader> {
  const [pipeline, query = ""] = pipelineAndQuery.split("?");
  return new StreamReader(await fetch(`${url}/pipelines/${pipeline}/sse?${query}`));
}

/** Returns the ID of an empty pipeline's live marker: a position before all events. */
async function readBeginning(stream: StreamReader): Promise<string> {
  const events = await stream.until("runnel.live");
  equal(events.length, 1);
  return events[0]!.id!;
}

/** Returns the events of the log after a position, by ID and in order. */
async function readLog(program: Program, beginning: string): Promise<Map<string, Payload>> {
  const stream = await subscribe(program, `p_a?lastEventId=${beginning}`);
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return byId(events.slice(0, -1));
}

function byId(events: ReceivedEvent[]): Map<string, Payload> {
  const sequences = events.map(({ id }) => Number(id!.split("-").at(-1)));
  deepEqual(sequences, Array.from(events, (_, index) => index + 1), "each once, without a hole");
  return new Map(events.map(({ id, data }) => [id!, JSON.parse(data)]));
}

/** Returns the numbers of each publisher, in the order of the log. */
function byPublisher(events: Map<string, Payload>): number[][] {
  const numbers: number[][] = Array.from({ length: PUBLISHERS }, () => []);
  for (const { publisher, number } of events.values()) numbers[publisher]!.push(number);
  return numbers;
}

function countUp(to: number): number[] {
  return Array.from({ length: to }, (_, index) => index + 1);
}

// Draining

/** Connections that a drain must not wait for: a stream that is not read, and an upload that stalls. */
async function hang({ url }: Program, stack: AsyncDisposableStack): Promise<void> {
  const payload = "x".repeat(60_000);
  const events = Array(8).fill({ pipeline: "p_full", channel: "events", payload });
  for (let i = 0; i < HISTORY; i += events.length) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify(events);
    const response = await fetch(`${url}/ingest`, { method: "POST", headers, body });
    equal(response.status, 202);
    await response.body!.cancel();
  }
  const port = Number(new URL(url).port);
  const upload = "POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
    'Content-Length: 100\r\n\r\n{"pipeline":';
  stack.use(await sendRaw(port, upload));
  const stream = "GET /pipelines/p_full/sse HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const stalled = stack.use(await sendRaw(port, stream));
  await readRaw(stalled, (text) => text.includes("event: events"));
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`main.ts ends streams with every accepted event and exits with 0 on ${signal}`, async () => {
    await using folder = new DataFolder();
    await using stack = new AsyncDisposableStack();
    const settings = { RUNNEL_KV: folder.kv, RUNNEL_HISTORY: String(HISTORY) };
    const program = stack.use(await Program.start(settings));
    await hang(program, stack);
    const stream = await subscribe(program, "p_a");
    const beginning = await readBeginning(stream);
    const burst = new Burst(program);
    await eventually("the burst has begun", () => burst.accepted.size > 200);
    const behind = await subscribe(program, "p_full");

    const since = performance.now();
    program.kill(signal);
    // A stream that is cut instead of ended rejects here.
    const received = byId(await stream.events(Infinity));
    const rest = await behind.events(Infinity);
    deepEqual([rest.length, rest.at(-1)!.type], [HISTORY + 1, "runnel.live"]);
    equal(await program.exit(), 0);
    ok(performance.now() - since < DRAIN_MS);
    await burst.ended;

    await using again = await Program.start(settings);
    const stored = await readLog(again, beginning);
    deepEqual(received, stored);
    for (const [id, payload] of burst.accepted) deepEqual(stored.get(id), payload);
    byPublisher(stored).forEach((numbers) => deepEqual(numbers, countUp(numbers.length)));
    const refused = new Set(burst.refused.map((payload) => JSON.stringify(payload)));
    for (const payload of stored.values()) ok(!refused.has(JSON.stringify(payload)));
  });
}

const hasScript = Deno.build.os === "linux" && await isThere("/usr/bin/script");

Deno.test({
  name: "deno task start exits with 0 on Ctrl-C in a terminal, even if pressed twice" +
    (hasScript ? "" : " (needs: apt-get install -y bsdutils)"),
  ignore: !hasScript,
  async fn() {
    await using stack = new AsyncDisposableStack();
    // `exec` replaces the shell of the terminal: dash would exit with 130 instead of the task.
    const command = `exec ${Deno.execPath()} task start`;
    const program = stack.use(
      await Program.start({ RUNNEL_KV: ":memory:", RUNNEL_HISTORY: String(HISTORY) }, [
        "/usr/bin/script",
        "--quiet",
        "--return",
        "--command",
        command,
        "/dev/null",
      ]),
    );
    await hang(program, stack);
    const stream = await subscribe(program, "p_a");
    await readBeginning(stream);

    const since = performance.now();
    await program.type("\x03");
    deepEqual(await stream.events(Infinity), []);
    // The stream that is not read delays the exit, so it receives this signal, too.
    await program.type("\x03");
    equal(await program.exit(), 0);
    ok(performance.now() - since < DRAIN_MS);
  },
});

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

// Crashing

Deno.test("main.ts has every accepted event after a kill in a burst, and retries complete the rest", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv };
  const key = ({ publisher, number }: Payload) => ({
    "Idempotency-Key": `${publisher}-${number}`,
  });
  await using program = await Program.start(settings);
  const stream = await subscribe(program, "p_a");
  const beginning = await readBeginning(stream);
  await stream.cancel();
  const burst = new Burst(program, key);
  await eventually("the burst has begun", () => burst.accepted.size > 300);
  program.kill("SIGKILL");
  await burst.ended;

  await using again = await Program.start(settings);
  const stored = await readLog(again, beginning);
  for (const [id, payload] of burst.accepted) deepEqual(stored.get(id), payload);
  const answered = byPublisher(burst.accepted);
  byPublisher(stored).forEach((numbers, publisher) => {
    deepEqual(numbers, countUp(numbers.length));
    // One post of each publisher got no answer, so it may be stored or not.
    ok(numbers.length - answered[publisher]!.length <= 1);
  });

  const posts = answered.flatMap((numbers, publisher) =>
    countUp(numbers.length + 1).map((number) => ({ publisher, number }))
  );
  for (const payload of posts) {
    const { status, id, replayed } = await publish(again, payload, key(payload));
    equal(status, 202);
    equal(replayed, stored.has(id));
    if (replayed) deepEqual(stored.get(id), payload);
  }
  const complete = byPublisher(await readLog(again, beginning));
  deepEqual(complete, answered.map((numbers) => countUp(numbers.length + 1)));
});
