import {
  deepStrictEqual as deepEqual,
  match,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { prepareStorage } from "../../lib/kv/storage.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { eventually, flush } from "../support/wait.ts";

const refused = { name: "RunnelError", type: "log-unavailable" };

/** Opens a store in a file, with a guard of it. */
async function openGuarded() {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/runnel.sqlite`;
  const clock = new FakeClock();
  const reports: string[] = [];
  const runtime = { clock, report: (message: string) => reports.push(message) };
  const storage = await prepareStorage(path, runtime);
  const connection = await KvConnection.open({
    open: storage.open,
    runtime,
    timeoutMs: 3000,
    remote: false,
    guard: () => storage.guard!(runtime),
  });
  return {
    path,
    clock,
    reports,
    connection,
    write: () => connection.call((kv) => kv.atomic().set(["key"], 1).commit()),
    async [Symbol.asyncDispose]() {
      connection.close();
      await flush();
      storage[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

for (const ending of ["", "-wal", "-shm", ".lock"]) {
  Deno.test(`FileGuard refuses all calls once runnel.sqlite${ending} is deleted`, async () => {
    await using store = await openGuarded();
    await store.write();
    await store.connection.verify();
    await Deno.remove(store.path + ending);
    await rejects(store.connection.verify(), refused);
    await rejects(store.write(), refused);
    await rejects(store.connection.verify(), refused);
    equal(store.reports.length, 1);
    match(
      store.reports[0]!,
      new RegExp(`^${store.path}${ending} was deleted, moved or replaced while`),
    );
  });
}

Deno.test("FileGuard notices a replaced file by itself within a second, and its return", async () => {
  await using store = await openGuarded();
  await store.write();
  await Deno.rename(store.path, `${store.path}.moved`);
  await Deno.copyFile(`${store.path}.moved`, store.path);
  await store.write();
  store.clock.advance(1000);
  await eventually("it is noticed", () => store.reports.length === 1);
  await rejects(store.write(), refused);
  await Deno.rename(`${store.path}.moved`, store.path);
  await store.connection.verify();
  await store.write();
  deepEqual(store.reports.slice(1), [`${store.path} is back: it is used again`]);
});

Deno.test("FileGuard stops its checks when the connection is closed", async () => {
  await using store = await openGuarded();
  store.connection.close();
  equal(store.clock.liveTimers, 0);
});
