/**
 * The real program in its own process, started as users start it.
 *
 * @module
 */

import denoJson from "../../../deno.json" with { type: "json" };
import { eventually } from "../wait.ts";

/** Working folder of users who start the program. */
const ROOT = new URL("../../../", import.meta.url);

/** Command of `deno task start`, without the task runner, which handles signals in its own way. */
export function startCommand(deno: string = Deno.execPath()): string[] {
  return commandOfTask(denoJson.tasks.start, deno);
}

/** Returns the command that a start task ends with, without a shell. */
export function commandOfTask(task: string, deno: string): string[] {
  // What comes before it checks the version of Deno.
  const words = task.split(" && ").at(-1)!.split(" ");
  // Variables come first, which the program `env` sets.
  const command = words.map((word) => word === "deno" ? deno : word);
  return words[0]!.includes("=") ? ["env", ...command] : command;
}

/** The same command, with the permission to read a folder. */
export function startCommandReading(folder: string): string[] {
  const read = [...denoJson.permissions.default.read, folder];
  return startCommand().toSpliced(-1, 0, `--allow-read=${read.join()}`);
}

/** Lines that Deno itself prints, at its first start or at each. */
const DENO_OUTPUT = /^(Warning Permissions in the config file|Download |Initialize )/;

/** Line of a drain that clients outlast which do not read or send, as a test may want them to. */
export const UNFINISHED_LINE = /^Leaves connections open at the end of the drain/;

/** Settings of a test, as environment variables. */
export type Environment = Record<string, string>;

/** A running program. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #collected: Promise<unknown>;
  readonly #status: Promise<Deno.CommandStatus>;
  #stdout = "";
  #stderr = "";
  #ended = false;

  private constructor(
    settings: Environment,
    [executable, ...args]: readonly string[],
    cwd: URL | string = ROOT,
  ) {
    this.#child = new Deno.Command(executable!, {
      args,
      cwd,
      env: { ...inherited(), NO_COLOR: "1", PORT: "0", RUNNEL_LOG_FORMAT: "text", ...settings },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#collected = Promise.all([
      collect(this.#child.stdout, (text) => this.#stdout += text),
      collect(this.#child.stderr, (text) => this.#stderr += text),
    ]);
    this.#status = this.#child.status.finally(() => this.#ended = true);
  }

  /** Starts a program, in the folder of this project or of a copy, and waits until it listens. */
  static async start(
    settings: Environment,
    command: readonly string[] = startCommand(),
    cwd: URL | string = ROOT,
  ): Promise<Program> {
    const program = new Program(settings, command, cwd);
    try {
      await eventually("the program listens", () => program.#ended || program.url !== "");
      if (program.url === "") {
        await program.#collected;
        const { code, signal } = await program.#status;
        const told = `${program.#stdout}${program.#stderr}`;
        throw new Error(`It ended with ${signal ?? `code ${code}`}: ${told}`);
      }
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a program to its end, and returns its exit code and its own lines on standard error. */
  static async startExpectingFailure(
    settings: Environment,
  ): Promise<{ code: number; lines: string[] }> {
    await using program = new Program(settings, startCommand());
    const code = await program.exit();
    await program.#collected;
    const lines = program.errors.trimEnd().split("\n");
    return { code, lines: lines.filter((line) => !DENO_OUTPUT.test(line)) };
  }

  /** Address of the program, as it prints it. */
  get url(): string {
    return /listens on (https?:[^\s"]+)\/[\s"]/.exec(this.#stdout)?.[1] ?? "";
  }

  /** Identifier of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Standard output so far. */
  get output(): string {
    return this.#stdout;
  }

  /** Memory in use, in bytes. */
  async memory(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.#child.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
  }

  /** Standard error so far, without the lines of Deno itself, and without times and levels. */
  get complaints(): string[] {
    return this.#stderr.split("\n").filter((line) => line !== "" && !DENO_OUTPUT.test(line))
      .map((line) => line.replace(/^\S+Z (WARN |ERROR) /, ""));
  }

  /** Standard error so far. */
  get errors(): string {
    return this.#stderr;
  }

  /** Waits until the program exits, and returns its exit code. */
  async exit(): Promise<number> {
    await eventually("the program ends", () => this.#ended);
    return (await this.#status).code;
  }

  /** Sends a signal to the program. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Types into the terminal of the program. */
  async type(keys: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(keys));
  }

  /** Ends the program, if it has not exited by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.kill("SIGKILL");
    await this.#status;
    await this.#collected;
    // Output that was not read by then breaks the pipe.
    await this.#input.close().catch(() => {});
  }
}

/** A folder that the program may use, for one test. */
export class DataFolder implements AsyncDisposable {
  /** Path of the folder, as the program sees it. */
  readonly path: string = `.data/test-${crypto.randomUUID()}`;

  /** Path of a file for the log. */
  get kv(): string {
    return `${this.path}/runnel.sqlite`;
  }

  /** Creates a file or, without content, a folder. */
  async make(name: string, content?: string): Promise<string> {
    const url = new URL(`${this.path}/${name}`, ROOT);
    await Deno.mkdir(content === undefined ? url : new URL(".", url), { recursive: true });
    if (content !== undefined) await Deno.writeTextFile(url, content);
    return `${this.path}/${name}`;
  }

  /** Restricts writing to root. */
  async forbid(): Promise<void> {
    await Deno.chmod(new URL(await this.make("."), ROOT), 0o500);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Deno.remove(new URL(this.path, ROOT), { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Environment of this process, without the variables that configure the program. */
function inherited(): Environment {
  const environment = Object.entries(Deno.env.toObject());
  return Object.fromEntries(
    environment.filter(([name]) => !/^(PORT|HOST|RUNNEL_.*|DENO_DEPLOY.*)$/.test(name)),
  );
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  add: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) add(text);
}
