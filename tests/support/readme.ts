/**
 * The README.md files of the repository, and their samples.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/** Fenced code of a README. */
export interface Sample {
  language: string;
  text: string;
  /** File name in the comment of its first line, if it has one: `// hello.js`. */
  file: string | undefined;
}

/** A README.md file. */
export class Readme {
  /** Path in the repository. */
  readonly path: string;
  readonly url: URL;
  readonly text: string;
  /** All samples, in order. */
  readonly all: readonly Sample[];

  constructor(path: string) {
    this.path = path;
    this.url = new URL(path, ROOT);
    this.text = Deno.readTextFileSync(this.url);
    this.all = [...this.text.matchAll(/^```(\w+)[^\n]*\n(.*?)^```/gms)].map(
      ([, language, text]) => ({
        language: language!,
        text: text!,
        file: /^\/\/ ([\w.]+)\n/.exec(text!)?.[1],
      }),
    );
  }

  /** Returns the samples of a language. */
  samples(language: string): string[] {
    return this.all.filter((sample) => sample.language === language).map(({ text }) => text);
  }

  /** Returns the only sample of a language that contains a text. */
  sample(language: string, text: string): string {
    const found = this.samples(language).filter((sample) => sample.includes(text));
    equal(found.length, 1, text);
    return found[0]!;
  }

  /** Returns the rows of the table under a heading, each as its cells. */
  rows(heading: string): string[][] {
    const [section] = this.text.split(`\n## ${heading}\n`)[1]!.split("\n## ");
    const lines = section!.split("\n").filter((line) => line.startsWith("|")).slice(2);
    return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  }

  /** Returns the anchors of its headings, as GitHub generates them. */
  get anchors(): string[] {
    const headings = this.text.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm);
    return [...headings].map(([, heading]) =>
      heading!.toLowerCase().replaceAll(/[^\w\s-]/g, "").replaceAll(" ", "-")
    );
  }

  /** Returns the targets of its links and pictures that are not URLs, with their anchors. */
  get links(): string[] {
    const targets = this.text.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm);
    return [...targets].map(([, inline, reference]) => (inline ?? reference)!)
      .filter((target) => !/^\w+:/.test(target));
  }
}

/** All README.md files of the repository, outside of dependencies and hidden folders. */
export const readmes: Readme[] = listReadmes("").sort().map((path) => new Readme(path));

/** Returns the README.md file at a path. */
export function findReadme(path: string): Readme {
  const readme = readmes.find((readme) => readme.path === path);
  if (!readme) throw new Error(`Cannot find ${path}. Found: ${readmes.map(({ path }) => path)}`);
  return readme;
}

function listReadmes(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder || ".", ROOT))].flatMap(({ name, isDirectory }) => {
    if (name.startsWith(".") || name === "node_modules") return [];
    if (isDirectory) return listReadmes(`${folder}${name}/`);
    return name === "README.md" ? [folder + name] : [];
  });
}

/**
 * Writes a program `deno` into a folder: it runs the tasks of the repository from
 * any folder, and its tasks that send events send them to the service at a URL.
 */
export async function writeDeno(folder: string, url: string): Promise<void> {
  const script = `#!/bin/sh
export INIT_CWD="$PWD"
cd "${fileURLToPath(ROOT)}"
case "$2" in workflow | demo) set -- "$@" --url "${url}" ;; esac
exec "${Deno.execPath()}" "$@"
`;
  await Deno.writeTextFile(`${folder}/deno`, script, { mode: 0o755 });
}
