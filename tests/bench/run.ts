/**
 * Measures the service beside its peers, and prints tables in Markdown.
 *
 * Run it with `deno task bench`, with `--work a,d,e` for some workloads only, and with
 * `--base ddaf2e2` beside an earlier commit. Peers that are missing are listed with the
 * command that installs them.
 *
 * @module
 */

import { readOptions } from "../support/programs/long_program.ts";
import { Load } from "./load.ts";
import { describeMachine } from "./machine.ts";
import {
  bare,
  ceiling,
  centrifugo,
  durableStreams,
  EarlierCommit,
  honoStream,
  nchan,
  type Peer,
  runnel,
} from "./peers/mod.ts";
import { formatWork } from "./table.ts";
import { failuresOfRunnel, measure } from "./turns.ts";
import type { Result } from "./work.ts";
import { type Bench, WORKS } from "./works/mod.ts";

const values = readOptions("bench", {
  work: "",
  peers: "",
  base: "none",
  turns: "5",
  seconds: "2",
  size: "full",
});

/** Reads a list, and refuses what is not in it. */
function readList(option: string, text: string, known: readonly string[]): readonly string[] {
  const given = text.split(",").filter((word) => word !== "");
  const unknown = given.find((word) => !known.includes(word));
  if (unknown === undefined) return given.length === 0 ? known : given;
  console.error(`Cannot use --${option} ${unknown}: it takes ${known.join(", ")}`);
  Deno.exit(1);
}

/** Copies an earlier commit, and refuses one that there is not. */
async function copyBase(revision: string): Promise<Peer> {
  try {
    return stack.use(await EarlierCommit.copy(revision)).peer();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}

/** Reads a positive number. */
function readNumber(option: "turns" | "seconds"): number {
  const value = Number(values[option]);
  if (value > 0) return value;
  console.error(`Cannot use --${option} ${values[option]}: it takes a positive number`);
  Deno.exit(1);
}

const load = await Load.build();
await using stack = new AsyncDisposableStack();
const others = [
  ceiling(load),
  nchan(1),
  nchan(navigator.hardwareConcurrency),
  centrifugo,
  durableStreams,
  bare,
  honoStream,
];
const letters = readList("work", values.work, Object.keys(WORKS));
const words = readList("peers", values.peers, ["none", ...others.map(({ word }) => word)]);
const turns = readNumber("turns");
const base = values.base === "none" ? [] : [await copyBase(values.base)];
const bench: Bench = {
  load,
  seconds: readNumber("seconds"),
  isTiny: readList("size", values.size, ["full", "tiny"])[0] === "tiny",
  peers: [runnel(), ...base, ...others.filter(({ word }) => words.includes(word))],
};

console.log(`${await describeMachine()}; ${turns} turns of ${bench.seconds} s\n`);
const failed: string[] = [];
for (const letter of letters) {
  const work = WORKS[letter]!(bench);
  const results: Result[] = await measure(work, turns, (turn, { group, name }) => {
    console.error(`(${letter}) turn ${turn + 1}: ${group && `${group}: `}${name}`);
  });
  console.log(`${formatWork(work, results)}\n`);
  failed.push(...failuresOfRunnel(results).map((failure) => `(${letter}) ${failure}`));
}
if (failed.length > 0) {
  console.error(`Runnel failed: ${failed.join("; ")}`);
  // The copy of an earlier commit is still to be removed.
  Deno.exitCode = 1;
}
