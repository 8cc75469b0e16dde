import { fail, rejects, strictEqual as equal } from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { start } from "../../lib/service/start.ts";
import { DataFolder } from "../support/programs/program.ts";

for (const isolates of ["1", "2"]) {
  Deno.test(`start() serves by ${isolates} isolate(s), and frees the store once drained`, async () => {
    await using folder = new DataFolder();
    const config = readConfig({ RUNNEL_KV: folder.kv, RUNNEL_ISOLATES: isolates, PORT: "0" });
    for (let i = 0; i < 2; i++) {
      const server = await start({ config, onFailure: fail });
      const response = await fetch(`http://127.0.0.1:${server.address.port}/readyz`);
      equal(response.status, 200);
      await response.body!.cancel();
      await rejects(start({ config, onFailure: fail }), { type: "storage-unusable" });
      await server.drain();
    }
  });
}

Deno.test("start() frees the store if it cannot listen", async () => {
  await using folder = new DataFolder();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const settings = { RUNNEL_KV: folder.kv, RUNNEL_ISOLATES: "2" };
  const config = readConfig({ ...settings, PORT: String(taken.addr.port) });
  await rejects(start({ config, onFailure: fail }), { type: "invalid-setting" });
  const server = await start({ config: readConfig({ ...settings, PORT: "0" }), onFailure: fail });
  await server.drain();
});
