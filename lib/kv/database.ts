/**
 * The SQLite database in which Deno KV keeps a store. The runtime can open it as
 * well, even while the store is in use.
 *
 * The runtime refuses `VACUUM` to programs without all permissions. A copy row by
 * row does the same: nothing that was deleted is in it.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";

/** Time for which SQLite waits for a lock of another connection, in milliseconds. */
const BUSY_MS = 5000;

/** Number of rows that are in memory at once: 1.3 MB at most. */
export const ROWS_AT_ONCE = 20;

/** Time after which other work gets its turn, in milliseconds. */
const TURN_MS = 5;

/** Opens a database. It is created if it is missing, unless it is opened to be read. */
export async function openDatabase(
  path: string,
  { readOnly = false }: { readOnly?: boolean } = {},
): Promise<DatabaseSync> {
  // Only when it is needed: not every platform has it.
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path, { readOnly, timeout: BUSY_MS });
  // Deno 2.5 has databases that cannot be disposed of.
  database[Symbol.dispose] ??= () => database.close();
  return database;
}

/**
 * Copies all tables into an empty database, in one transaction on each side. Other
 * work gets its turn in between.
 */
export async function copyRows(from: DatabaseSync, to: DatabaseSync): Promise<void> {
  to.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
  from.exec("BEGIN");
  const schema = from.prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    .all() as unknown as { type: string; name: string; sql: string }[];
  const tables = schema.filter(({ type }) => type === "table");
  const isStore = ["kv", "data_version"].every((known) =>
    tables.some(({ name }) => name === known)
  );
  if (!isStore) throw new Error("it is a database of another program");
  for (const { name, sql } of tables) {
    to.exec(sql);
    // Only `kv` is a table without row IDs, and has one key.
    await copyTable(from, to, { name, key: name === "kv" ? "k" : "rowid" });
  }
  // Faster than to keep them up to date row by row.
  for (const { type, sql } of schema) if (type !== "table") to.exec(sql);
  to.exec("COMMIT");
}

/**
 * Copies a table in the order of its key. Not by `iterate()`: in the runtime, it
 * ends at an error as it does at the end, and the copy would be incomplete.
 */
async function copyTable(
  from: DatabaseSync,
  to: DatabaseSync,
  { name, key }: { name: string; key: string },
): Promise<void> {
  const all = `SELECT ${key} AS "after", * FROM "${name}"`;
  const order = `ORDER BY ${key} LIMIT ${ROWS_AT_ONCE}`;
  const first = from.prepare(`${all} ${order}`);
  const next = from.prepare(`${all} WHERE ${key} > ? ${order}`);
  // Numbers beyond 2^53 are an error otherwise.
  for (const rows of [first, next]) rows.setReadBigInts(true);
  const columns = from.prepare(`PRAGMA table_info("${name}")`).all();
  const places = columns.map(() => "?").join();
  let started = performance.now();
  const insert = to.prepare(`INSERT INTO "${name}" VALUES (${places})`);
  for (let rows = first.all(); rows.length > 0; rows = next.all(rows.at(-1)!["after"]!)) {
    for (const { after: _, ...row } of rows) insert.run(...Object.values(row));
    if (performance.now() - started < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    started = performance.now();
  }
}

/** Checks the structure of a database, and returns up to three problems. */
export function quickCheck(database: DatabaseSync): string[] {
  const rows = database.prepare("PRAGMA quick_check(3)").all();
  // Several problems of one kind are the lines of one text.
  return rows
    .map(({ quick_check }) => String(quick_check).replace(/^\*\*\*.*\n/, "").replaceAll("\n", ", "))
    .filter((problem) => problem !== "ok");
}

/** Returns the size of what is in use in a database, in bytes. */
export function sizeInUse(database: DatabaseSync): number {
  const read = (name: string) => Number(database.prepare(`PRAGMA ${name}`).get()![name]);
  return (read("page_count") - read("freelist_count")) * read("page_size");
}
