import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { compactFile, copyFile, replaceFile } from "../../lib/kv/store_file.ts";

/** Creates a folder for one test, with the path of a store in it. */
async function makeFolder() {
  const path = await Deno.makeTempDir();
  return {
    path,
    kv: `${path}/a.sqlite`,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

async function writeEach(path: string, values: readonly unknown[]): Promise<void> {
  using kv = await Deno.openKv(path);
  for (const [index, value] of values.entries()) await kv.set(["key", index], value);
}

async function readAll(path: string): Promise<unknown[]> {
  using kv = await Deno.openKv(path);
  const entries = await Array.fromAsync(kv.list({ prefix: ["key"] }));
  return entries.map(({ value }) => value);
}

/** Values that SQLite stores in different ways. */
const VALUES = [1, "text", new Uint8Array(50_000).fill(7), { a: [2 ** 53, -0] }, 5n, null];

Deno.test("copyFile() copies each value and its version", async () => {
  await using folder = await makeFolder();
  await writeEach(folder.kv, VALUES);
  const copy = `${folder.path}/copy.sqlite`;
  await copyFile(folder.kv, copy);
  deepEqual(await readAll(copy), VALUES);
  using one = await Deno.openKv(folder.kv);
  using other = await Deno.openKv(copy);
  for (const index of VALUES.keys()) {
    deepEqual(await other.get(["key", index]), await one.get(["key", index]));
  }
  const { versionstamp } = await other.get(["key", 5]);
  ok((await other.set(["key", 0], 1)).versionstamp > versionstamp!);
});

Deno.test("copyFile() copies one moment of a store that is written to", async () => {
  await using folder = await makeFolder();
  using kv = await Deno.openKv(folder.kv);
  let writes = 0;
  let stopped = false;
  const writing = (async () => {
    // Both in one commit: a copy with different ones mixes two moments.
    while (!stopped) {
      writes++;
      await kv.atomic().set(["key", 0], writes).set(["key", 1], writes).commit();
    }
  })();
  const seen: unknown[] = [];
  for (let i = 0; i < 5; i++) {
    const copy = `${folder.path}/copy-${i}.sqlite`;
    await copyFile(folder.kv, copy).catch((error) => {
      if (writes > 0) throw error;
    });
    const [one, other] = await readAll(copy);
    equal(one, other);
    seen.push(one);
    const before = writes;
    while (writes < before + 3) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  stopped = true;
  await writing;
  deepEqual(seen, [...new Set(seen)]);
});

Deno.test("copyFile() leaves no incomplete copy of a damaged store", async () => {
  await using folder = await makeFolder();
  // A copy, because it has no WAL with pages that would hide the damage.
  const original = `${folder.path}/original.sqlite`;
  await writeEach(original, Array.from({ length: 500 }, (_, i) => `${i}`.repeat(200)));
  await copyFile(original, folder.kv);
  using file = await Deno.open(folder.kv, { read: true, write: true });
  for (let page = 20; page < (await file.stat()).size / 4096; page += 10) {
    await file.seek(page * 4096, Deno.SeekMode.Start);
    await file.write(new Uint8Array(4096));
  }
  const copy = `${folder.path}/copy.sqlite`;
  await rejects(copyFile(folder.kv, copy), {
    type: "storage-unusable",
    message: `Cannot read ${folder.kv}: database disk image is malformed`,
  });
  await rejects(Deno.stat(copy), Deno.errors.NotFound);
  await rejects(compactFile(folder.kv), { type: "storage-unusable" });
});

Deno.test("compactFile() starts again after a process that was killed", async () => {
  await using folder = await makeFolder();
  await writeEach(folder.kv, VALUES);
  await Deno.writeTextFile(`${folder.kv}.next`, "half of a copy");
  const { before, after } = await compactFile(folder.kv);
  ok(after <= before);
  deepEqual(await readAll(folder.kv), VALUES);
});

Deno.test("replaceFile() leaves the file as it is if the copy cannot be prepared", async () => {
  await using folder = await makeFolder();
  const backup = `${folder.path}/backup.sqlite`;
  await writeEach(folder.kv, ["log"]);
  await writeEach(backup, ["backup"]);
  const cause = new Error("killed");
  await rejects(replaceFile(folder.kv, backup, () => Promise.reject(cause)), cause);
  deepEqual(await readAll(folder.kv), ["log"]);
  equal(await replaceFile(folder.kv, backup, () => Promise.resolve()), `${folder.kv}.replaced`);
  deepEqual(await readAll(folder.kv), ["backup"]);
  deepEqual(await readAll(`${folder.kv}.replaced`), ["log"]);
});

Deno.test("replaceFile() replaces a damaged file with its WAL", async () => {
  await using folder = await makeFolder();
  const backup = `${folder.path}/backup.sqlite`;
  await writeEach(backup, ["backup"]);
  await Deno.writeTextFile(folder.kv, "no database".repeat(1000));
  await Deno.writeTextFile(`${folder.kv}-wal`, "no WAL");
  await replaceFile(folder.kv, backup, () => Promise.resolve());
  deepEqual(await readAll(folder.kv), ["backup"]);
  deepEqual(await readAll(backup), ["backup"]);
});
