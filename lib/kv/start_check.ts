/**
 * Checks a file at start, as far as that is quick: a damaged one is opened and
 * written to without an error, until its damaged places are read.
 *
 * @module
 */

import { deserialize } from "node:v8";
import type { Runtime } from "../base/mod.ts";
import { openDatabase, quickCheck, ROWS_AT_ONCE } from "./database.ts";

/** Maximum size of a file whose structure is checked: that takes about half a second. */
const MAX_CHECKED_BYTES = 512 * 1024 * 1024;

/** Encoding of values that V8 serialized, in the table of Deno KV. */
const V8_ENCODING = 1;

/** First byte of each text in an encoded key; a byte of zero ends the text. */
const TEXT = 2;

/** Reports what is wrong with the structure of a file that no connection has open. */
export async function checkAtStart(
  path: string,
  { report }: Pick<Runtime, "report">,
): Promise<void> {
  const { isFile, size } = await Deno.stat(path);
  if (!isFile || size > MAX_CHECKED_BYTES) return;
  let problems: string[];
  try {
    using database = await openDatabase(path);
    problems = quickCheck(database);
  } catch (error) {
    // Deno KV cannot open a file of another kind either, and says why.
    if (!(error instanceof Error && error.message.includes("malformed"))) return;
    problems = [error.message];
  }
  if (problems.length === 0) return;
  report(
    `${path} is damaged: ${problems[0]}. Events may be missing, and some pipelines may be ` +
      "refused. To repair it, stop the service and run `deno task restore FILE` with a backup",
    undefined,
    { level: "error" },
  );
}

/**
 * Searches the values under the keys of two texts, of which the first is given, that
 * cannot be decoded or are invalid.
 *
 * @param first The first text of the keys.
 * @param isValid Checks a value.
 * @returns The second text of their keys. None of a file without a store.
 */
export async function findInvalid(
  path: string,
  first: string,
  isValid: (value: unknown) => boolean,
): Promise<string[]> {
  const encoder = new TextEncoder();
  const prefix = new Uint8Array([TEXT, ...encoder.encode(first), 0, TEXT]);
  const end = prefix.with(-1, TEXT + 1);
  const found: string[] = [];
  try {
    using database = await openDatabase(path);
    const next = database.prepare(
      `SELECT k, v, v_encoding FROM kv WHERE k > ? AND k < ? ORDER BY k LIMIT ${ROWS_AT_ONCE}`,
    );
    for (let rows = next.all(prefix, end); rows.length > 0;) {
      for (const { k, v, v_encoding } of rows) {
        const value = v_encoding === V8_ENCODING ? decode(v as Uint8Array) : v;
        const text = (k as Uint8Array).subarray(prefix.length, -1);
        if (!isValid(value)) found.push(new TextDecoder().decode(text));
      }
      rows = next.all(rows.at(-1)!["k"]!, end);
    }
  } catch {
    // The structure is damaged as well, or there is no store yet.
  }
  return found;
}

/** Returns a value, or `undefined` if it cannot be decoded. */
function decode(bytes: Uint8Array): unknown {
  try {
    return deserialize(bytes);
  } catch {
    return undefined;
  }
}
