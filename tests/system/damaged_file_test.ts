import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { openStream } from "../support/clients/stream_reader.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { damageHead, damagePages, damageSegments } from "../support/stores/damage.ts";

const COUNT = 60;

async function publish(url: string, pipeline: string, payload: string): Promise<number> {
  const response = await fetch(`${url}/ingest/${pipeline}/tick`, {
    method: "POST",
    body: JSON.stringify(payload),
    headers: { "Content-Type": "application/json" },
  });
  await response.body?.cancel();
  return response.status;
}

/** Stores events of some pipelines, and damages the file once the service has ended. */
async function serveDamaged(
  folder: DataFolder,
  pipelines: readonly string[],
  damage: (path: string) => unknown,
): Promise<Program> {
  {
    await using program = await Program.start({ RUNNEL_KV: folder.kv });
    for (const pipeline of pipelines) {
      for (let i = 1; i <= COUNT; i++) {
        equal(await publish(program.url, pipeline, `${pipeline} ${i} ${"x".repeat(900)}`), 202);
      }
    }
    program.kill("SIGTERM");
    await program.exit();
  }
  await damage(folder.kv);
  return await Program.start({ RUNNEL_KV: folder.kv });
}

/** Reads a fresh stream to its live event: gaps, and the numbers of the events. */
async function read(program: Program, pipeline: string) {
  const stream = await openStream(program, pipeline);
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return {
    gaps: events.filter(({ type }) => type === "runnel.gap").map(({ data }) => JSON.parse(data)),
    numbers: events.filter(({ type }) => type === "tick").map(({ data }) =>
      Number(data.split(" ")[1])
    ),
  };
}

const without = (from: number, to: number) =>
  Array.from({ length: COUNT }, (_, i) => i + 1).filter((n) => n < from || n > to);

for (const how of ["delete", "overwrite"] as const) {
  Deno.test(`The service tells a gap where segments were lost (${how}), and goes on`, async () => {
    await using folder = new DataFolder();
    await using program = await serveDamaged(
      folder,
      ["p_a"],
      (path) => damageSegments(path, "p_a", [20, 21, 22], how),
    );
    const { gaps, numbers } = await read(program, "p_a");
    deepEqual(gaps, [{ missed: 3, reason: "damaged" }]);
    deepEqual(numbers, without(21, 23));
    equal(await publish(program.url, "p_a", "p_a 61"), 202);
    match(
      program.errors,
      /The log of a pipeline lacks events: it is damaged, or .* pipeline=p_a first=21 last=23$/m,
    );
  });
}

Deno.test("The service reports damaged pages at start, and tells a gap in their place", async () => {
  await using folder = new DataFolder();
  let damaged = 0;
  await using program = await serveDamaged(folder, ["p_a", "p_b"], async (path) => {
    damaged = await damagePages(path, "p_a 40 x", "p_b");
  });
  equal(damaged, 1);
  const { gaps, numbers } = await read(program, "p_a");
  equal(gaps.length, 1);
  equal(gaps[0].reason, "damaged");
  equal(numbers.length + gaps[0].missed, COUNT);
  ok(!numbers.includes(40) && numbers.includes(1) && numbers.includes(COUNT));
  deepEqual(await read(program, "p_b"), { gaps: [], numbers: without(0, 0) });
  match(program.errors, /runnel\.sqlite is damaged: .* run `deno task restore FILE` with a backup/);
});

Deno.test("The service rebuilds a damaged head at start, under a new epoch", async () => {
  await using folder = new DataFolder();
  await using program = await serveDamaged(folder, ["p_a"], (path) => damageHead(path, "p_a"));
  match(
    program.errors,
    /The head of a pipeline is damaged: it is rebuilt, under a new epoch pipeline=p_a$/m,
  );
  deepEqual(await read(program, "p_a"), { gaps: [], numbers: without(0, 0) });
  equal(await publish(program.url, "p_a", `p_a ${COUNT + 1} `), 202);
  const { numbers } = await read(program, "p_a");
  deepEqual(numbers.slice(-2), [COUNT, COUNT + 1]);
});
