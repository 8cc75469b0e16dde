/**
 * Event-stream clients of other authors, in four languages, each installed by its
 * own package manager into a cache of this machine, and the client of this repository.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A library that reads event streams. */
export interface Library {
  name: string;
  language: string;
  /** Whether it delivers an event without data for each block that has only an ID. */
  deliversIds?: boolean;
  /**
   * Whether it takes the part of an ID in a block that was cut for an ID. Then it
   * comes back from an earlier position, or from an unknown one, and repeats events.
   */
  takesCutIds?: boolean;
}

/** The libraries that are tried. */
export const LIBRARIES: readonly Library[] = [
  { name: "eventsource", language: "node" },
  { name: "fetch-event-source", language: "node", deliversIds: true },
  { name: "eventsource-client", language: "node" },
  { name: "httpx-sse", language: "python", deliversIds: true },
  { name: "sseclient-py", language: "python" },
  { name: "aiosseclient", language: "python", deliversIds: true },
  { name: "r3labs/sse", language: "go", deliversIds: true, takesCutIds: true },
  { name: "tmaxmax/go-sse", language: "go", deliversIds: true },
  { name: "launchdarkly/eventsource", language: "go", deliversIds: true },
  { name: "reqwest-eventsource", language: "rust" },
  { name: "@runnel/client", language: "deno" },
];

/** A toolchain, and how it prepares the programs of its language. */
interface Toolchain {
  /** Command that shows that it is there. */
  check: string[];
  /** Command that installs it. */
  install: string;
  /** Commands that prepare the programs, in the folder of a copy of their sources. */
  prepare: (folder: string) => string[][];
  /** Command of a program, without the name of the library and the URL. */
  command: (folder: string) => string[];
}

const TOOLCHAINS: Record<string, Toolchain> = {
  node: {
    check: ["npm", "--version"],
    install: "apt-get install -y npm",
    prepare: () => [["npm", "ci", "--silent", "--no-audit", "--no-fund"]],
    command: (folder) => ["node", join(folder, "client.js")],
  },
  python: {
    check: ["python3", "-m", "venv", "--help"],
    install: "apt-get install -y python3-venv",
    prepare: (folder) => [
      ["python3", "-m", "venv", "venv"],
      [join(folder, "venv/bin/pip"), "install", "-q", "-r", "requirements.txt"],
    ],
    command: (folder) => [join(folder, "venv/bin/python"), join(folder, "client.py")],
  },
  go: {
    check: ["go", "version"],
    install: "apt-get install -y golang",
    prepare: () => [["go", "build", "-o", "clients", "."]],
    command: (folder) => [join(folder, "clients")],
  },
  rust: {
    check: ["cargo", "--version"],
    install: "apt-get install -y cargo",
    prepare: () => [["cargo", "build", "-q", "--release", "--locked"]],
    command: (folder) => [join(folder, "target/release/clients")],
  },
  deno: {
    check: [Deno.execPath(), "--version"],
    install: "",
    prepare: () => [],
    // Not the copy, which is far from the client.
    command:
      () => [Deno.execPath(), "run", "-A", fileURLToPath(import.meta.resolve("./deno/client.ts"))],
  },
};

/**
 * Prepares the programs of a language.
 *
 * @returns The command, to which the name of a library and a URL are added; `null`
 *   if the toolchain is missing.
 */
export async function prepare(language: string): Promise<string[] | null> {
  const { check, prepare, command, install } = TOOLCHAINS[language]!;
  if (!await succeeds(check)) {
    console.log(`${language}: skipped, it is not installed (${install})`);
    return null;
  }
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME")!, ".cache");
  const folder = join(cache, "runnel-clients", language);
  await copy(new URL(`./${language}/`, import.meta.url), folder);
  for (const step of prepare(folder)) {
    if (!await succeeds(step, folder)) throw new Error(`Cannot prepare: ${step.join(" ")} failed`);
  }
  return command(folder);
}

async function succeeds([executable, ...args]: string[], cwd?: string): Promise<boolean> {
  try {
    const output = cwd === undefined ? "null" : "inherit";
    const command = new Deno.Command(executable!, {
      args,
      ...cwd !== undefined && { cwd },
      stdout: "null",
      stderr: output,
    });
    return (await command.output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function copy(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(new URL(`${name}/`, from), join(to, name));
    else await Deno.copyFile(new URL(name, from), join(to, name));
  }
}
