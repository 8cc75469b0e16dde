import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { DataFolder, Program } from "../support/programs/program.ts";
import { eventually } from "../support/wait.ts";
import { runStorageTask } from "../support/programs/storage_task.ts";

const COUNT = 50;

/** Number of publishes after which the file is read again. */
const PUBLISHES = 10;

/** Counts the payloads of a test in the bytes of the file and of those beside it. */
async function countPayloads(path: string): Promise<number> {
  const found = new Set<string>();
  for (const ending of ["", "-wal", "-shm"]) {
    const bytes = await Deno.readFile(path + ending).catch(() => new Uint8Array());
    const text = new TextDecoder("latin1").decode(bytes);
    for (const [word] of text.matchAll(/secret-\d+-/g)) found.add(word);
  }
  return found.size;
}

async function request(url: string, method: string, body?: string): Promise<void> {
  const response = await fetch(url, { method, ...body !== undefined && { body } });
  await response.body?.cancel();
  ok(response.ok);
}

Deno.test("deno task compact removes deleted payloads from the file, and gives room back", async () => {
  await using folder = new DataFolder();
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    for (let i = 0; i < COUNT; i++) {
      const payload = JSON.stringify(`secret-${i}-${"x".repeat(300 * (i % 20))}`);
      await request(`${program.url}/ingest/p_gone/tick`, "POST", payload);
      await request(`${program.url}/ingest/p_kept/tick`, "POST", `"kept-${i}"`);
    }
    equal(await countPayloads(folder.kv), COUNT);
    await request(`${program.url}/pipelines/p_gone/events`, "DELETE");

    const { code, stderr } = await runStorageTask("compact", { kv: folder.kv });
    equal(code, 1);
    match(stderr, /^Cannot compact: .* is in use by process \d+\. Stop that one, or/);
    program.kill("SIGTERM");
    await program.exit();
  }
  ok(await countPayloads(folder.kv) > 0);
  const { code, stdout, stderr } = await runStorageTask("compact", { kv: folder.kv });
  deepEqual([code, stderr], [0, ""]);
  const [, before, after] = /: ([\d.]+) MB before, ([\d.]+) MB now\.\n$/.exec(stdout)!;
  ok(Number(after) < Number(before) / 2, stdout);
  equal(await countPayloads(folder.kv), 0);
  equal((await Deno.stat(folder.kv)).mode! & 0o777, 0o600);
  const names = (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name);
  deepEqual(names.sort(), ["runnel.sqlite", "runnel.sqlite.lock"]);

  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  const response = await fetch(`${program.url}/pipelines/p_kept/events`);
  const { events } = await response.json();
  equal(events.length, COUNT);
});

for (const isolates of ["1", "2"]) {
  Deno.test(`The service with ${isolates} isolates removes deleted payloads from its file by itself`, async () => {
    await using folder = new DataFolder();
    const settings = { RUNNEL_KV: folder.kv, RUNNEL_ISOLATES: isolates };
    await using program = await Program.start(settings);
    for (let i = 0; i < COUNT; i++) {
      const payload = JSON.stringify(`secret-${i}-${"x".repeat(300 * (i % 20))}`);
      await request(`${program.url}/ingest/p_gone/tick`, "POST", payload);
      await request(`${program.url}/ingest/p_kept/tick`, "POST", `"kept-${i}"`);
    }
    equal(await countPayloads(folder.kv), COUNT);
    await request(`${program.url}/pipelines/p_gone/events`, "DELETE");
    let published = COUNT;
    await eventually("they are removed", async () => {
      // Publishes go on meanwhile, and none of them fails.
      await request(`${program.url}/ingest/p_kept/tick`, "POST", `"kept-${published++}"`);
      return published % PUBLISHES === 0 && await countPayloads(folder.kv) === 0;
    });
    await request(`${program.url}/ingest/p_kept/tick`, "POST", `"kept-${published++}"`);
    await request(`${program.url}/readyz`, "GET");
    const response = await fetch(`${program.url}/pipelines/p_kept/events`);
    const { events } = await response.json();
    const sequences = events.map(({ id }: { id: string }) => Number(id.split("-").at(-1)));
    equal(sequences.at(-1), published);
    deepEqual(program.complaints.filter((line) => !line.includes("ulimit")), []);
  });
}

Deno.test("deno task compact leaves a damaged file as it is", async () => {
  await using folder = new DataFolder();
  await folder.make("runnel.sqlite", "no database".repeat(1000));
  const { code, stderr } = await runStorageTask("compact", { kv: folder.kv });
  equal(code, 1);
  match(stderr, /^Cannot read .*runnel\.sqlite: file is not a database\n$/);
  equal(await Deno.readTextFile(folder.kv), "no database".repeat(1000));
});
