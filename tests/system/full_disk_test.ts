import { strictEqual as equal } from "node:assert/strict";
import { Program } from "../support/programs/program.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { SmallDisk, smallDisk } from "../support/stores/small_disk.ts";

testWithRequirements(
  [smallDisk],
  "DELETE works on a full disk, and publishing after it",
  async () => {
    await using disk = await SmallDisk.create(16);
    await using program = await Program.start({ RUNNEL_KV: disk.kv });
    const publish = async (pipeline: string, payload: string) => {
      const response = await fetch(`${program.url}/ingest`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ pipeline, channel: "events", payload }),
      });
      await response.body?.cancel();
      return response.status;
    };
    const remove = async (path: string) => {
      const response = await fetch(`${program.url}/pipelines/${path}`, { method: "DELETE" });
      await response.body?.cancel();
      return response.status;
    };
    for (let i = 0; i < 80; i++) equal(await publish(`p_${i % 4}`, "x".repeat(20_000)), 202);
    await disk.fill();
    // What is left of the last block of the WAL.
    while (await publish("p_a", "x".repeat(4000)) === 202);
    equal(await remove("p_0/events"), 204);
    equal(await remove("p_1"), 204);
    equal(await remove("p_2"), 204);
    equal(await publish("p_a", "x".repeat(20_000)), 202);
    await disk.free();
  },
);
