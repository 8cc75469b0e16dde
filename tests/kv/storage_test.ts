import { ok, rejects, strictEqual as equal } from "node:assert/strict";
import { prepareStorage } from "../../lib/kv/storage.ts";

/** Creates a folder for one test. */
async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

for (const name of ["runnel.sqlite", "a/b/runnel.sqlite", "with space/é.sqlite"]) {
  Deno.test(`prepareStorage() creates the folder of ${name}, and keeps its contents`, async () => {
    await using folder = await makeFolder();
    const path = `${folder.path}/${name}`;
    {
      using storage = await prepareStorage(path);
      equal(storage.remote, false);
      const kv = await storage.open();
      await kv.atomic().set(["head"], 1).commit();
      kv.close();
    }
    using storage = await prepareStorage(path);
    const kv = await storage.open();
    equal((await kv.get(["head"])).value, 1);
    kv.close();
    ok((await Deno.stat(path)).isFile);
  });
}

Deno.test("prepareStorage() adds up the sizes of the files that there are", async () => {
  await using folder = await makeFolder();
  const path = `${folder.path}/runnel.sqlite`;
  using storage = await prepareStorage(path);
  equal(storage.size!(), 0);
  const kv = await storage.open();
  await kv.atomic().set(["head"], 1).commit();
  const { size } = await Deno.stat(path);
  const wal = await Deno.stat(`${path}-wal`);
  const shm = await Deno.stat(`${path}-shm`);
  equal(storage.size!(), size + wal.size + shm.size);
  kv.close();
});

const permissions = { ignore: Deno.build.os === "windows" };

/** Returns the permissions of a file or folder, in octal. */
async function modeOf(path: string): Promise<string> {
  return ((await Deno.stat(path)).mode! & 0o777).toString(8);
}

Deno.test(
  "prepareStorage() lets nobody but the owner read a new folder and its files",
  permissions,
  async () => {
    await using folder = await makeFolder();
    const path = `${folder.path}/data/runnel.sqlite`;
    using storage = await prepareStorage(path);
    const kv = await storage.open();
    await kv.atomic().set(["head"], 1).commit();
    equal(await modeOf(`${folder.path}/data`), "700");
    for (const ending of ["", "-wal", "-shm", ".lock"]) equal(await modeOf(path + ending), "600");
    kv.close();
  },
);

Deno.test(
  "prepareStorage() takes the files of an older version from others, and leaves their folder",
  permissions,
  async () => {
    await using folder = await makeFolder();
    const path = `${folder.path}/runnel.sqlite`;
    await Deno.chmod(folder.path, 0o755);
    for (const ending of ["", "-wal", ".lock"]) {
      await Deno.writeTextFile(path + ending, "");
      await Deno.chmod(path + ending, 0o644);
    }
    using _storage = await prepareStorage(path);
    for (const ending of ["", "-wal", ".lock"]) equal(await modeOf(path + ending), "600");
    equal(await modeOf(folder.path), "755");
  },
);

Deno.test("prepareStorage() locks a file until it is disposed", async () => {
  await using folder = await makeFolder();
  const path = `${folder.path}/runnel.sqlite`;
  const inUse = {
    name: "RunnelError",
    type: "storage-unusable",
    message: `Cannot start: ${path} is in use by process ${Deno.pid}. Stop that one, or name ` +
      "another file in RUNNEL_KV",
  };
  // Left behind by a process that has ended.
  await Deno.writeTextFile(`${path}.lock`, "123456789012345\n");
  {
    using _storage = await prepareStorage(path);
    await rejects(prepareStorage(path), inUse);
    // A refused attempt must not release the lock of its holder.
    await rejects(prepareStorage(path), inUse);
  }
  (await prepareStorage(path))[Symbol.dispose]();
});

Deno.test("prepareStorage() locks one file, not its neighbors", async () => {
  await using folder = await makeFolder();
  using _one = await prepareStorage(`${folder.path}/one.sqlite`);
  using _other = await prepareStorage(`${folder.path}/other.sqlite`);
});

Deno.test("prepareStorage() locks nothing in memory, where each store is another", async () => {
  using one = await prepareStorage(":memory:");
  using other = await prepareStorage(":memory:");
  equal(one.remote, false);
  const kv = await one.open();
  const otherKv = await other.open();
  await kv.atomic().set(["head"], 1).commit();
  equal((await otherKv.get(["head"])).value, null);
  kv.close();
  otherKv.close();
});

for (const kv of ["https://kv.example/", "http://127.0.0.1:4512", undefined]) {
  Deno.test(`prepareStorage() treats ${kv ?? "the store of the platform"} as remote`, async () => {
    using storage = await prepareStorage(kv);
    equal(storage.remote, true);
  });
}

Deno.test("prepareStorage() rejects with the reason when it cannot create the folder", async () => {
  await using folder = await makeFolder();
  await Deno.writeTextFile(`${folder.path}/file`, "");
  const path = `${folder.path}/file/runnel.sqlite`;
  await rejects(prepareStorage(path), (error: Error) => {
    ok(error.message.startsWith(`Cannot open the store: RUNNEL_KV is ${path}, which fails (`));
    ok(error.message.endsWith(
      "Name a file in a folder that can be written to, :memory:, or the " +
        "URL of a KV Connect server",
    ));
    return true;
  });
});

const unusable: [name: string, make: (path: string) => Promise<void>][] = [
  ["a folder", (path) => Deno.mkdir(path)],
  ["a file of another kind", (path) => Deno.writeTextFile(path, "no database".repeat(1000))],
];

for (const [name, make] of unusable) {
  Deno.test(`KvStorage.open() rejects with the remedy for ${name}`, async () => {
    await using folder = await makeFolder();
    const path = `${folder.path}/runnel.sqlite`;
    await make(path);
    using storage = await prepareStorage(path);
    await rejects(storage.open(), {
      name: "RunnelError",
      type: "storage-unusable",
      message: /^Cannot open the store: RUNNEL_KV is .*, which fails \(.*Name a file in a folder/,
    });
  });
}

Deno.test("prepareStorage() removes the copy that a killed process did not complete", async () => {
  await using folder = await makeFolder();
  const path = `${folder.path}/runnel.sqlite`;
  await Deno.writeTextFile(`${path}.next`, "text of events that may be deleted later");
  using _storage = await prepareStorage(path);
  await rejects(Deno.stat(`${path}.next`), Deno.errors.NotFound);
});
