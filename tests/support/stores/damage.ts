/**
 * Damages the file of a store, as a bad disk does. No connection may have it open.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { copyFile } from "../../../lib/kv/store_file.ts";

const encoder = new TextEncoder();

/** Part of an encoded key of Deno KV. */
const text = (part: string) => [2, ...encoder.encode(part), 0];

/** Replaces the value of a head by bytes that cannot be decoded. */
export function damageHead(path: string, pipeline: string): void {
  using database = new DatabaseSync(path);
  const key = new Uint8Array([...text("head"), ...text(pipeline)]);
  const { changes } = database.prepare("UPDATE kv SET v = x'ff0f' WHERE k = ?").run(key);
  if (changes !== 1) throw new Error(`There is no head of ${pipeline}`);
}

/** Deletes segments of a pipeline, or overwrites them: those with the given places among them. */
export function damageSegments(
  path: string,
  pipeline: string,
  places: readonly number[],
  how: "delete" | "overwrite",
): void {
  using database = new DatabaseSync(path);
  const prefix = new Uint8Array([...text("log"), ...text(pipeline)]);
  const end = prefix.with(-1, 1);
  const keys = database.prepare("SELECT k FROM kv WHERE k > ? AND k < ? ORDER BY k").all(
    prefix,
    end,
  );
  const statement = database.prepare(
    how === "delete" ? "DELETE FROM kv WHERE k = ?" : "UPDATE kv SET v = x'010203' WHERE k = ?",
  );
  for (const place of places) statement.run(keys[place]!["k"]!);
}

/** Overwrites the pages of a file that contain a text, but not those with another one. */
export async function damagePages(path: string, word: string, spare: string): Promise<number> {
  // A copy, because it has no WAL with pages that would hide the damage.
  const copy = `${path}.copy`;
  await copyFile(path, copy);
  const bytes = await Deno.readFile(copy);
  let count = 0;
  for (let start = 0; start < bytes.length; start += 4096) {
    const page = new TextDecoder("latin1").decode(bytes.subarray(start, start + 4096));
    if (!page.includes(word) || page.includes(spare)) continue;
    bytes.fill(0, start, start + 4096);
    count++;
  }
  for (const ending of ["-wal", "-shm"]) await Deno.remove(path + ending).catch(() => {});
  await Deno.writeFile(path, bytes);
  await Deno.remove(copy);
  return count;
}
