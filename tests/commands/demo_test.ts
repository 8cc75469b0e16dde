import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { runTask, startTask } from "../support/programs/task.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { startService } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

/** Process of the demo, with its output so far. */
class Demo implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #printing: Promise<unknown>;
  stdout = "";
  stderr = "";

  constructor(...args: string[]) {
    this.#child = startTask("demo", { args });
    const { stdout, stderr } = this.#child;
    this.#printing = Promise.all([
      collect(stdout, (text) => this.stdout += text),
      collect(stderr, (text) => this.stderr += text),
    ]);
  }

  /** Presses Ctrl-C, and waits for its end. */
  async interrupt(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGINT");
    return await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#printing;
  }
}

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void) {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) add(text);
}

Deno.test("deno task demo sends events on three channels until Ctrl-C", async () => {
  await using service = await startService();
  await using server = serveLocally(service.fetch);
  const stream = new StreamReader(await fetch(`${server.url}/pipelines/p_demo/sse`));
  await using demo = new Demo("--url", `${server.url}/`);
  const since = performance.now();
  const sent = new Map<string, Record<string, unknown>>();
  while (sent.size < 4) {
    const { type, data } = (await stream.event())!;
    sent.set(type, JSON.parse(data));
  }
  ok(performance.now() - since < 10_000);
  deepEqual([...sent.keys()].sort(), ["orders", "payments", "runnel.live", "shipments"]);
  deepEqual(Object.keys(sent.get("orders")!), ["order", "customer", "item", "total"]);
  deepEqual(Object.keys(sent.get("payments")!), ["order", "amount", "currency"]);
  deepEqual(Object.keys(sent.get("shipments")!), ["order", "carrier"]);
  await stream.cancel();
  const { signal } = await demo.interrupt();
  equal(signal, "SIGINT");
  equal(demo.stderr, "");
  match(demo.stdout, /^Sending orders, payments and shipments of a small shop to p_demo\.$/m);
  match(demo.stdout, /^\S+-1 orders \{"order":1001,.*\}$/m);
  ok(demo.stdout.includes(`Watch them: curl -N ${server.url}/pipelines/p_demo/sse\n`));
});

Deno.test("deno task demo loses and repeats no event when the service restarts", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv };
  let program = await Program.start(settings);
  const { url } = program;
  await using demo = new Demo("--url", url, "--pipeline", "p_shop");
  await eventually("it has started", () => demo.stdout.includes("Ctrl-C"));
  program.kill("SIGKILL");
  await program.exit();
  await program[Symbol.asyncDispose]();
  await eventually("it retries", () => demo.stderr.includes("Trying again"));
  match(demo.stderr, /^\S+\/ingest did not answer\. Trying again$/m);

  program = await Program.start({ ...settings, PORT: new URL(url).port });
  try {
    const stream = new StreamReader(await fetch(`${url}/pipelines/p_shop/sse`));
    const [live] = (await stream.until("runnel.live")).slice(-1);
    const { replayed } = JSON.parse(live!.data);
    const [event] = await stream.events(1);
    equal(Number(event!.id!.split("-").at(-1)), replayed + 1);
    await stream.cancel();
    await demo.interrupt();
    const history = await fetch(`${url}/pipelines/p_shop/events`);
    const { events } = await history.json();
    const orders = events
      .filter(({ channel }: { channel: string }) => channel === "orders")
      .map(({ payload }: { payload: { order: number } }) => payload.order);
    deepEqual(orders, orders.map((_: number, index: number) => 1001 + index));
  } finally {
    await program[Symbol.asyncDispose]();
  }
});

Deno.test("deno task demo prints how to start the service when none runs", async () => {
  const { code, stdout, stderr } = await runTask("demo", { args: ["--url", "http://127.0.0.1:9"] });
  equal(code, 1);
  equal(stdout, "");
  match(stderr, /^Cannot deliver 1 of 1 events: http:\/\/127\.0\.0\.1:9\/ingest did not answer/);
  match(stderr, /^Start the service first: deno task start$/m);
});

Deno.test("deno task demo refuses invalid arguments in one line", async () => {
  const invalid: [arg: string, says: RegExp][] = [
    ["--pipeline=demo", /^Cannot send to pipeline "demo": expected p_.*\n$/],
    ["--url=localhost", /^Cannot send to "localhost": expected an http or https URL\n$/],
    ["--speed=2", /^Cannot use --speed: there is no such option\n/],
  ];
  for (const [arg, says] of invalid) {
    const { code, stdout, stderr } = await runTask("demo", { args: [arg] });
    deepEqual([code, stdout], [1, ""]);
    match(stderr, says);
  }
});
