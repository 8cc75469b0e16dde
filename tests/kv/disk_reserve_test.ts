import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { DiskReserve } from "../../lib/kv/disk_reserve.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { eventually } from "../support/wait.ts";

const MINUTE_MS = 60_000;

interface Folder extends AsyncDisposable {
  path: string;
}

/** Creates a folder, which is removed when disposed. */
async function makeFolder(): Promise<Folder> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Fills the reserve of a store in a folder of its own, or in one that is missing. */
async function createReserve(folder: Folder, name: string) {
  const clock = new FakeClock();
  const reports: string[] = [];
  const path = `${folder.path}/${name}`;
  const reserve = await DiskReserve.fill(path, {
    clock,
    report: (message) => reports.push(message),
  });
  const size = () => {
    try {
      return Deno.statSync(`${path}.reserve`).size;
    } catch {
      return 0;
    }
  };
  return { clock, reports, reserve, size };
}

Deno.test("DiskReserve.release() makes room once, and again after it was refilled", async () => {
  await using folder = await makeFolder();
  const { clock, reserve, size, reports } = await createReserve(folder, "log");
  equal(size(), 6 * 1024 * 1024);
  deepEqual([await reserve.release(), size()], [true, 0]);
  equal(await reserve.release(), false);
  clock.advance(MINUTE_MS);
  await eventually("the reserve is full", () => size() === 6 * 1024 * 1024);
  deepEqual(reports, ["The disk is full: released the reserve for a deletion"]);
  reserve[Symbol.dispose]();
  deepEqual([clock.liveTimers, size()], [0, 0]);
});

Deno.test("DiskReserve.fill() reports a disk without room once, and tries again", async () => {
  await using folder = await makeFolder();
  const { clock, reports, reserve, size } = await createReserve(folder, "missing/log");
  equal(reports.length, 1);
  equal(await reserve.release(), false);
  await Deno.mkdir(`${folder.path}/missing`);
  clock.advance(MINUTE_MS);
  await eventually("the reserve is full", () => size() === 6 * 1024 * 1024);
  equal(reports.length, 1);
  equal(clock.liveTimers, 0);
});

Deno.test("DiskReserve.fill() keeps the reserve of a process that was killed", async () => {
  await using folder = await makeFolder();
  await createReserve(folder, "log");
  const { mtime } = await Deno.stat(`${folder.path}/log.reserve`);
  await createReserve(folder, "log");
  deepEqual((await Deno.stat(`${folder.path}/log.reserve`)).mtime, mtime);
});

Deno.test("DiskReserve.assertRoom() leaves no file behind, and says nothing of a folder without access", async () => {
  await using folder = await makeFolder();
  const { reserve } = await createReserve(folder, "log");
  await Promise.all([reserve.assertRoom(), reserve.assertRoom()]);
  deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["log.reserve"]);
  reserve[Symbol.dispose]();
  const { reserve: without } = await createReserve(folder, "missing/log");
  await without.assertRoom();
  without[Symbol.dispose]();
});
