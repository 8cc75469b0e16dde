import { strictEqual as equal } from "node:assert/strict";
import { Program } from "../support/programs/program.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { SmallDisk, smallDisk } from "../support/stores/small_disk.ts";

// SQLite writes a new log over its old one, in which it finds room on a full disk.
for (const events of [0, 80, 300]) {
  testWithRequirements(
    [smallDisk],
    `GET /readyz names a full disk at the first request, after ${events} events`,
    async () => {
      await using disk = await SmallDisk.create(40);
      await using program = await Program.start({ RUNNEL_KV: disk.kv });
      const ready = async () => {
        const response = await fetch(`${program.url}/readyz`);
        const text = await response.text();
        return response.ok ? text : JSON.parse(text).part;
      };
      const body = JSON.stringify(
        Array(100).fill({ pipeline: "p_a", channel: "events", payload: "x".repeat(4000) }),
      );
      for (let sent = 0; sent < events; sent += 20) {
        const response = await fetch(`${program.url}/ingest`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body,
        });
        equal(response.status, 202);
        await response.body?.cancel();
      }
      equal(await ready(), "ok\n");
      await disk.fill();
      equal(await ready(), "disk");
      equal(await ready(), "disk");
      equal(await (await fetch(`${program.url}/healthz`)).text(), "ok\n");
      await disk.free();
      equal(await ready(), "ok\n");
    },
  );
}

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
