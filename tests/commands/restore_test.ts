import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { append, line, lines, readStanding } from "../support/clients/appender.ts";
import { openStream, type StreamReader } from "../support/clients/stream_reader.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { runStorageTask } from "../support/programs/storage_task.ts";
import { findReadme } from "../support/readme.ts";

const PIPELINES = ["p_a", "p_b"];

/** Publishes numbered events to each pipeline. */
async function publish(url: string, from: number, to: number): Promise<void> {
  for (const pipeline of PIPELINES) {
    for (let i = from; i <= to; i++) {
      const response = await fetch(`${url}/ingest/${pipeline}/tick`, {
        method: "POST",
        body: String(i),
        headers: { "Idempotency-Key": `key-${i}`, "Content-Type": "application/json" },
      });
      equal(response.status, 202);
      await response.body?.cancel();
    }
  }
}

async function readToLive(stream: StreamReader) {
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return events;
}

Deno.test("deno task restore FILE tells clients of events that a backup has not", async () => {
  await using folder = new DataFolder();
  const backup = `${folder.path}/backup.sqlite`;
  const positions = new Map<string, string>();
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    await publish(program.url, 1, 10);
    const done = await runStorageTask("backup", { kv: folder.kv, args: [backup] });
    deepEqual([done.code, done.stderr], [0, ""]);
    match(done.stdout, /^Backed up .*runnel\.sqlite to .*backup\.sqlite: [\d.]+ MB\.\n$/);
    equal((await Deno.stat(backup)).mode! & 0o777, 0o600);
    await publish(program.url, 11, 15);
    for (const pipeline of PIPELINES) {
      const events = await readToLive(await openStream(program, pipeline));
      positions.set(pipeline, events.at(-1)!.id!);
      match(positions.get(pipeline)!, /-15$/);
    }
    const beside = await runStorageTask("restore", { kv: folder.kv, args: [backup] });
    equal(beside.code, 1);
    match(beside.stderr, /is in use by process/);
    program.kill("SIGTERM");
    await program.exit();
  }
  const { code, stdout, stderr } = await runStorageTask("restore", {
    kv: folder.kv,
    args: [backup],
  });
  deepEqual([code, stderr], [0, ""]);
  match(stdout, /: 2 pipelines, each with a new epoch\. The log before is in .*\.replaced: delete/);

  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  // Those with the keys of the first ten are stored already.
  await publish(program.url, 6, 18);
  for (const pipeline of PIPELINES) {
    const position = positions.get(pipeline)!;
    const [gap, ...events] = await readToLive(await openStream(program, pipeline, position));
    deepEqual([gap!.type, gap!.data], ["runnel.gap", '{"missed":null,"reason":"unknown"}']);
    deepEqual(
      events.slice(0, -1).map(({ data }) => Number(data)),
      Array.from({ length: 18 }, (_, index) => index + 1),
    );
    const ids = new Set(events.map(({ id }) => id!.split("-").slice(0, -1).join("-")));
    equal(ids.size, 1);
    ok(!ids.has(position.replace(/-15$/, "")));
  }
});

Deno.test("deno task restore FILE keeps an ended run ended, and how much of an append stands", async () => {
  await using folder = new DataFolder();
  const backup = `${folder.path}/backup.sqlite`;
  const run = lines(1, 2) + line(3, { end: true });
  const headers = { "Idempotency-Key": "run" };
  let endId: string;
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    await append(program, run, { headers });
    await append(program, lines(1, 2), { headers, pipeline: "p_b" });
    const done = await runStorageTask("backup", { kv: folder.kv, args: [backup] });
    equal(done.code, 0);
    await append(program, lines(1, 4), { headers, pipeline: "p_b" });
    endId = (await (await openStream(program, "p_a")).events(Infinity)).at(-1)!.id!;
    program.kill("SIGTERM");
    await program.exit();
  }
  equal((await runStorageTask("restore", { kv: folder.kv, args: [backup] })).code, 0);

  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  const { status, accepted, ended } = await append(program, run, { headers });
  deepEqual([status, accepted, ended], [200, 3, true]);
  equal((await append(program, line(4))).type, "run-ended");
  // Of the epoch before: its client may lack events, so it is not told that it has all.
  const stream = await openStream(program, "p_a", endId);
  deepEqual((await stream.events(Infinity)).map(({ type }) => type), [
    "runnel.gap",
    ...["events", "events", "events", "runnel.live", "runnel.end"],
  ]);
  equal((await readStanding(program, "run", "p_b")).accepted, 2);
  equal((await append(program, lines(1, 5), { headers, pipeline: "p_b" })).accepted, 5);
  const { events } = await (await fetch(`${program.url}/pipelines/p_b/events`)).json();
  deepEqual(events.map(({ payload }: { payload: number }) => payload), [1, 2, 3, 4, 5]);
});

Deno.test("deno task backup does not overwrite a file", async () => {
  await using folder = new DataFolder();
  const file = await folder.make("mine", "text");
  {
    await using _program = await Program.start({ RUNNEL_KV: folder.kv });
    const { code, stderr } = await runStorageTask("backup", { kv: folder.kv, args: [file] });
    equal(code, 1);
    match(stderr, /^Cannot back up: .*mine exists\. Name a new file\n/);
  }
  equal(await Deno.readTextFile(file), "text");
});

for (
  const [what, content, reason] of [
    ["a missing file", undefined, "there is no such file, or it is empty"],
    ["a file of another kind", "no database".repeat(1000), "file is not a database"],
  ] as const
) {
  Deno.test(`deno task restore FILE refuses ${what}, and keeps the log`, async () => {
    await using folder = new DataFolder();
    if (content) await folder.make("backup", content);
    {
      await using program = await Program.start({ RUNNEL_KV: folder.kv });
      await publish(program.url, 1, 2);
      program.kill("SIGTERM");
      await program.exit();
    }
    const before = await Deno.readFile(folder.kv);
    const args = [`${folder.path}/backup`];
    const { code, stderr } = await runStorageTask("restore", { kv: folder.kv, args });
    equal(code, 1);
    match(stderr, new RegExp(`^Cannot read .*backup: ${reason}\\n$`));
    deepEqual(await Deno.readFile(folder.kv), before);
  });
}

Deno.test("deno task restore without a file renews the epochs of a log", async () => {
  await using folder = new DataFolder();
  let position = "";
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    await publish(program.url, 1, 3);
    position = (await readToLive(await openStream(program, "p_a"))).at(-1)!.id!;
    program.kill("SIGTERM");
    await program.exit();
  }
  const { code, stdout } = await runStorageTask("restore", { kv: folder.kv });
  deepEqual([code, stdout], [0, `Renewed the epochs of 2 pipelines in ${folder.kv}.\n`]);
  await using program = await Program.start({ RUNNEL_KV: folder.kv });
  const [gap, ...events] = await readToLive(await openStream(program, "p_a", position));
  equal(gap!.type, "runnel.gap");
  equal(events.length, 4);
});

Deno.test("The README's commands for a backup, a restore and a compaction work in its order", async () => {
  await using folder = new DataFolder();
  await using user = new TempFolder();
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    await publish(program.url, 1, 2);
    program.kill("SIGTERM");
    await program.exit();
  }
  const text = findReadme("lib/service/README.md").text;
  const commands = [...text.matchAll(/^ +deno task (backup|restore|compact)( \S+)?$/gm)];
  deepEqual(commands.map(([, name]) => name), ["backup", "restore", "compact"]);
  for (const [, name, file] of commands) {
    const { code, stderr } = await runStorageTask(name as "backup" | "restore" | "compact", {
      kv: folder.kv,
      args: file ? [file.trim()] : [],
      env: { INIT_CWD: user.path },
    });
    deepEqual([code, stderr], [0, ""], name);
  }
  ok((await Deno.stat(`${user.path}/backup.sqlite`)).isFile);
});
