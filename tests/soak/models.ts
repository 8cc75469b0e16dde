/**
 * The tests of random actions, with other seeds and more actions than in `deno task test`: all test
 * files that import `support/model/repetitions.ts`, again and again until the time is over.
 *
 * Run it with `deno task test:models --seed 7 --minutes 10`. It ends at the first failure, and each
 * round prints the command that repeats it.
 *
 * @module
 */

import { readOptions } from "../support/programs/long_program.ts";
import { VARIABLES } from "../support/model/repetitions.ts";

const ROOT = new URL("../../", import.meta.url);

/** Factor of the number of actions. */
const FACTOR = 4;

/** Difference between the seeds of two rounds: more than a round has. */
const ROUND_SEEDS = 1000;

const IMPORT = /from "\.\.\/support\/model\/repetitions\.ts"/;

/** Returns the test files of random actions, from the root of the project. */
async function findModels(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) paths.push(...await findModels(`${folder}${name}/`));
    else if (name.endsWith("_test.ts")) {
      const path = folder + name;
      if (IMPORT.test(await Deno.readTextFile(new URL(path, ROOT)))) paths.push(path);
    }
  }
  return paths.sort();
}

/** Runs all tests of some files once, and returns whether they passed. */
async function runRound(paths: readonly string[], seed: number): Promise<boolean> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "-q", "--no-check", "--lock=tests/deno.lock", "--parallel", ...paths],
    cwd: ROOT,
    env: { [VARIABLES.factor]: String(FACTOR), [VARIABLES.seed]: String(seed) },
  }).output();
  const decoder = new TextDecoder();
  const lines = decoder.decode(stdout).trimEnd().split("\n");
  // Of a round that passed, its summary.
  console.log(success ? lines.at(-1) : [...lines, decoder.decode(stderr)].join("\n"));
  return success;
}

if (import.meta.main) {
  const { seed, minutes } = readOptions("test:models", {
    seed: String(Math.floor(Math.random() * 1e9)),
    minutes: "1",
  });
  const until = performance.now() + Number(minutes) * 60_000;
  const paths = await findModels("tests/");
  let next = Number(seed);
  do {
    console.log(`deno task test:models --seed ${next} --minutes 0`);
    if (!await runRound(paths, next)) Deno.exit(1);
    next += ROUND_SEEDS;
  } while (performance.now() < until);
}
