import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { openStream, type StreamReader } from "../support/clients/stream_reader.ts";
import { Program } from "../support/programs/program.ts";
import { requireProgram, testWithRequirements } from "../support/programs/requirements.ts";
import { processTree } from "../support/programs/server_process.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { findReadme } from "../support/readme.ts";
import { Model } from "../support/servers/model.ts";
import { eventually, PATIENCE_MS } from "../support/wait.ts";

const README = findReadme("lib/http/runs/README.md");
const curl = await requireProgram("/usr/bin/curl", "apt-get install -y curl");
const jq = await requireProgram("/usr/bin/jq", "apt-get install -y jq");

/** Documented commands that run in a folder, with other addresses. */
class Commands implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  constructor(script: string, addresses: Record<string, string>, cwd: string) {
    for (const [from, to] of Object.entries(addresses)) script = script.replaceAll(from, to);
    this.#child = new Deno.Command("bash", {
      args: ["-c", script],
      cwd,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Ends a program of theirs. */
  async kill(name: string): Promise<void> {
    let found: number | undefined;
    await eventually(`${name} runs`, async () => {
      for (const pid of await processTree(this.#child.pid)) {
        const comm = await Deno.readTextFile(`/proc/${pid}/comm`).catch(() => "");
        if (comm === `${name}\n`) found = pid;
      }
      return found !== undefined;
    });
    Deno.kill(found!, "SIGTERM");
  }

  /** Waits for their end, and returns what they print. */
  async output(): Promise<{ stdout: string; stderr: string }> {
    const [stdout, stderr] = await Promise.all([
      new Response(this.#child.stdout).text(),
      new Response(this.#child.stderr).text(),
    ]);
    return { stdout, stderr };
  }

  /** Ends those that a failed test has left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of await processTree(this.#child.pid)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await this.#child.status;
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      if (!output.locked) await output.cancel();
    }
  }
}

/** Reads the next event of a stream, and returns its channel and payload. */
async function nextOf(stream: StreamReader): Promise<[channel: string, payload: unknown]> {
  const timer = setTimeout(() => stream.cancel(), PATIENCE_MS);
  const event = await stream.event();
  clearTimeout(timer);
  if (!event) throw new Error(`Waited ${PATIENCE_MS} ms in vain: the next event`);
  return [event.type, JSON.parse(event.data)];
}

testWithRequirements(
  [curl],
  "The documented commands publish the answer of a model, each piece before the next one is written",
  async () => {
    await using program = await Program.start({ RUNNEL_KV: ":memory:" });
    await using model = new Model();
    await using folder = new TempFolder();
    const question = { model: "m", stream: true, messages: [{ role: "user", content: "Why?" }] };
    await folder.write("question.json", JSON.stringify(question));
    const stream = await openStream(program, "p_answer");
    equal((await stream.event())!.type, "runnel.live");

    await using commands = new Commands(README.sample("sh", "/v1/chat/completions"), {
      "https://model.example": model.url,
      "http://localhost:8000": program.url,
    }, folder.path);
    deepEqual(await model.question, question);
    // A piece that is held back anywhere would be awaited in vain: the next one is not written yet.
    for (const content of ["Be", "cause", " it", " is", "."]) {
      await model.write(content);
      deepEqual(await nextOf(stream), ["message", { choices: [{ index: 0, delta: { content } }] }]);
    }
    await model.end();
    deepEqual(await nextOf(stream), ["message", "[DONE]"]);
    deepEqual(await nextOf(stream), ["runnel.end", { events: 6 }]);
    equal(await stream.event(), null);

    const { stdout, stderr } = await commands.output();
    equal(stderr, "");
    match(stdout, /^\{"accepted":6,.*\}\n?\{.*"end":\{.*\}\}\n?$/);
  },
);

testWithRequirements(
  [curl, jq],
  "The documented commands publish each line of a log before the next one is written",
  async () => {
    await using program = await Program.start({ RUNNEL_KV: ":memory:" });
    await using folder = new TempFolder();
    const log = await folder.write("app.log", "");
    const stream = await openStream(program, "p_log");
    equal((await stream.event())!.type, "runnel.live");

    await using commands = new Commands(README.sample("sh", "tail -f"), {
      "http://localhost:8000": program.url,
    }, folder.path);
    for (const line of ["Started", 'GET "/" 200', "Padmé\t\\"]) {
      await Deno.writeTextFile(log, `${line}\n`, { append: true });
      deepEqual(await nextOf(stream), ["log", line]);
    }
    await commands.kill("tail");
    const { stdout, stderr } = await commands.output();
    equal(stderr, "");
    match(stdout, /^\{"accepted":3,/);
    await stream.cancel();
  },
);

testWithRequirements(
  [curl, jq],
  "The documented commands show an error when the source has written on",
  async () => {
    await using program = await Program.start({
      RUNNEL_KV: ":memory:",
      RUNNEL_MAX_PAYLOAD_BYTES: "64",
    });
    await using folder = new TempFolder();
    const log = await folder.write("app.log", `short\n${"long".repeat(20)}\n`);
    await using commands = new Commands(README.sample("sh", "tail -f"), {
      "http://localhost:8000": program.url,
    }, folder.path);
    const ended = commands.output();
    await eventually("the first line stands", async () => {
      const response = await fetch(`${program.url}/pipelines/p_log/events`);
      return (await response.json()).events.length === 1;
    });
    // It may write on before the answer has come.
    let stdout = "";
    void ended.then((output) => stdout = output.stdout);
    await eventually("the error shows", async () => {
      await Deno.writeTextFile(log, "more\n", { append: true });
      return stdout !== "";
    });
    match(stdout, /"status":(413|422),.*"accepted":1,/);
  },
);
