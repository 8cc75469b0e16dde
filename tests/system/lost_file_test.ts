import { strictEqual as equal } from "node:assert/strict";
import { DataFolder, Program } from "../support/programs/program.ts";

const publish = async (url: string) => {
  const response = await fetch(`${url}/ingest/p_lost/tick`, { method: "POST", body: "1" });
  await response.body?.cancel();
  return response.status;
};

const ready = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  await response.body?.cancel();
  return response.status;
};

for (const isolates of ["1", "2"]) {
  for (const ending of ["", ".lock"]) {
    Deno.test(`The service with ${isolates} isolates refuses work once runnel.sqlite${ending} is deleted`, async () => {
      await using folder = new DataFolder();
      const path = `${folder.path}/runnel.sqlite`;
      await using program = await Program.start({ RUNNEL_KV: path, RUNNEL_ISOLATES: isolates });
      equal(await publish(program.url), 202);
      equal(await ready(program.url), 200);
      await Deno.remove(path + ending);
      equal(await ready(program.url), 503);
      equal(await publish(program.url), 503);
      equal(program.errors.split(`${path}${ending} was deleted, moved or replaced`).length, 2);
    });
  }
}
