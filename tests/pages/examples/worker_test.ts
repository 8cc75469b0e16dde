import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { type Requirement, testWithRequirements } from "../../support/programs/requirements.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { serveLocally } from "../../support/servers/local_server.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { copyExample } from "./example_files.ts";

const node: Requirement = {
  isInstalled: await answers("node") && await answers("npm"),
  install: "apt-get install -y nodejs npm",
};

async function answers(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Folders with an installed dependency, by its name and version. */
const installations = new Map<string, Promise<TempFolder>>();

Deno.test.afterAll(async () => {
  for (const folder of installations.values()) await (await folder)[Symbol.asyncDispose]();
});

async function install(dependency: string): Promise<TempFolder> {
  const folder = new TempFolder();
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--prefer-offline", "--no-audit", "--no-fund", dependency],
    cwd: folder.path,
  }).output();
  ok(success, new TextDecoder().decode(stderr));
  return folder;
}

/** A folder in which `worker.mjs` can be started, with its dependency. */
async function createProject(
  service: ServedService,
  dependency = "eventsource",
): Promise<TempFolder> {
  if (!installations.has(dependency)) installations.set(dependency, install(dependency));
  const { path } = await installations.get(dependency)!;
  const folder = new TempFolder();
  await Deno.symlink(`${path}/node_modules`, `${folder.path}/node_modules`);
  await copyExample(folder, "worker.mjs", service.url);
  return folder;
}

/** The state that the worker has saved. */
interface State {
  counts: Record<string, number>;
  missed: number;
}

async function readState(folder: TempFolder): Promise<State> {
  try {
    return JSON.parse(await Deno.readTextFile(`${folder.path}/state.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { counts: {}, missed: 0 };
    throw error;
  }
}

function total({ counts }: State): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** The worker, in a process of its own. */
class Worker implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly #child: Deno.ChildProcess;
  readonly #collected: Promise<unknown>;

  constructor(folder: TempFolder) {
    this.#child = new Deno.Command("node", {
      args: ["worker.mjs"],
      cwd: folder.path,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#collected = Promise.all([
      this.#collect(this.#child.stdout, (text) => this.stdout += text),
      this.#collect(this.#child.stderr, (text) => this.stderr += text),
    ]);
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, add: (text: string) => void) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) add(text);
  }

  /** Waits until the worker has received all events that it missed. */
  async live(): Promise<void> {
    await eventually(`the worker is live: ${this.stderr}`, () => /^Live\.$/m.test(this.stdout));
  }

  /** Waits for the end of the process, and returns its exit code. */
  async exit(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#collected;
    return code;
  }

  /** Kills the process without a chance to clean up. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Does nothing if the process has ended.
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await this.exit();
  }
}

testWithRequirements(
  [node],
  "worker.mjs counts each event once, although it is killed",
  async () => {
    await using service = await ServedService.start();
    await using project = await createProject(service);
    {
      await using worker = new Worker(project);
      await worker.live();
      await worker.kill();
    }
    // More than a stream without a last event ID would begin with.
    const before = 150;
    for (let n = 0; n < before; n++) await service.publish("p_demo", "orders", n);

    const kills = 5;
    const between = 60;
    const channels = ["payments", "shipments", "refunds"];
    const publishing = (async () => {
      for (let n = 0; n < kills * between * 3 / 2; n++) {
        await service.publish("p_demo", channels[n % 3]!, n);
        // About as fast as the worker starts again.
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    for (let kill = 1; kill <= kills; kill++) {
      await using worker = new Worker(project);
      const enough = before + (kill - 1) * between + kill * 17 % between;
      await eventually("the worker counts", async () => total(await readState(project)) >= enough);
      await worker.kill();
    }
    await publishing;

    await using worker = new Worker(project);
    await worker.live();
    await service.publish("p_demo", "orders", "last");
    await eventually("the last event is counted", () => worker.stdout.includes('orders: "last"'));
    const each = kills * between / 2;
    deepEqual(await readState(project).then(({ counts, missed }) => ({ counts, missed })), {
      counts: { orders: before + 1, payments: each, shipments: each },
      missed: 0,
    });
    equal(worker.stderr, "");
  },
);

/** Takes a request at the address of a service that is down, and cuts it without an answer. */
async function failAttempt(url: string): Promise<void> {
  await using server = serveLocally(() => new Promise(() => {}), Number(new URL(url).port));
  await eventually("the worker tries", () => server.handling > 0);
}

// The two versions that npm installs, by the version of Node.
for (const dependency of ["eventsource@4", "eventsource@5"]) {
  testWithRequirements(
    [node],
    `worker.mjs resumes after a restart, with ${dependency}`,
    async () => {
      await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
      await using project = await createProject(service, dependency);
      await using worker = new Worker(project);
      await worker.live();
      await service.cut(async () => {
        await service.publish("p_demo", "orders", 1);
        for (let attempt = 1; attempt <= 2; attempt++) await failAttempt(service.url);
      });
      await eventually("the event is counted", () => worker.stdout.includes("orders: 1"));
      deepEqual((await readState(project)).counts, { orders: 1 });
    },
  );
}

testWithRequirements(
  [node],
  "worker.mjs reports events that are no longer in the log",
  async () => {
    await using service = await ServedService.start();
    await using project = await createProject(service);
    {
      await using worker = new Worker(project);
      await worker.live();
    }
    for (let n = 0; n < 3; n++) await service.publish("p_demo", "orders", n);
    const cleared = await fetch(`${service.url}/pipelines/p_demo/events`, { method: "DELETE" });
    equal(cleared.status, 204);
    await service.publish("p_demo", "orders", 3);
    {
      await using worker = new Worker(project);
      await worker.live();
      await worker.kill();
      equal(worker.stderr, "Missed 3: cleared.\n");
    }
    const { counts, missed } = await readState(project);
    deepEqual({ counts, missed }, { counts: { orders: 1 }, missed: 3 });

    // Another store has none of these events, and an epoch of its own.
    await using other = await ServedService.start();
    await other.publish("p_demo", "payments", 1);
    await copyExample(project, "worker.mjs", other.url);
    for (const expected of ["The last event ID is unknown.\n", ""]) {
      await using worker = new Worker(project);
      await worker.live();
      await worker.kill();
      equal(worker.stderr, expected);
    }
    deepEqual((await readState(project)).counts, { orders: 1, payments: 1 });
  },
);

testWithRequirements(
  [node],
  "worker.mjs ends with exit code 1 when the stream is refused",
  async () => {
    await using service = await ServedService.start(TOKEN_SETTINGS);
    await using project = await createProject(service);
    await using worker = new Worker(project);
    equal(await worker.exit(), 1);
    match(worker.stderr, /^The stream was refused: 401 /);
  },
);

testWithRequirements(
  [node],
  "worker.mjs ends with exit code 0 when the run has ended, however often it is started",
  async () => {
    await using service = await ServedService.start();
    await using project = await createProject(service);
    await service.publish("p_demo", "orders", 1);
    const end = await fetch(`${service.url}/pipelines/p_demo/end`, { method: "POST" });
    await end.body?.cancel();
    for (let start = 1; start <= 2; start++) {
      await using worker = new Worker(project);
      equal(await worker.exit(), 0);
      match(worker.stdout, /The run has ended\.\n$/);
      equal(worker.stderr, "");
    }
    deepEqual((await readState(project)).counts, { orders: 1 });
  },
);
