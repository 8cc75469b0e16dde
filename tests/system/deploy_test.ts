import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { openStream } from "../support/clients/stream_reader.ts";
import { SECRET, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { Program } from "../support/programs/program.ts";
import { DenoKv, testWithDenokv } from "../support/stores/denokv.ts";

/** Variables that Deno Deploy sets, and requirements that it has for an app. */
const DEPLOY = { DENO_DEPLOYMENT_ID: "d", RUNNEL_TOKEN_SECRET: SECRET };

for (const set of [{}, { DENO_KV_REQUIRES_DISTRIBUTED_DATABASE: "warn" }]) {
  const what = Object.keys(set).join() || "nothing";
  Deno.test(`The program does not start on Deno Deploy without a database, with ${what} set`, async () => {
    const { code, lines } = await Program.startExpectingFailure({ ...DEPLOY, ...set });
    equal(code, 1);
    deepEqual(lines, [
      "Cannot open the store: that of the platform fails (Deno.openKv() failed: no KV " +
      "database is attached to this app. Attach a KV database to your app in the Deno Deploy " +
      "dashboard, then redeploy.). Assign a Deno KV database to the app, or set RUNNEL_KV to " +
      "the URL of a KV Connect server",
    ]);
  });
}

testWithDenokv("The program uses the database that Deno Deploy assigns to the app", async () => {
  await using kv = await DenoKv.start();
  const { DENO_KV_ACCESS_TOKEN } = kv.settings;
  const settings = {
    DENO_KV_DEFAULT_PATH: kv.url,
    DENO_KV_ACCESS_TOKEN: DENO_KV_ACCESS_TOKEN!,
    ...DEPLOY,
    ...TOKEN_SETTINGS,
    RUNNEL_SUBSCRIBE: "public",
    HOST: "127.0.0.1",
  };
  await using one = await Program.start(settings);
  await using other = await Program.start(settings);
  const stream = await openStream(other, "p_a");
  await stream.until("runnel.live");
  const answer = await fetch(`${one.url}/ingest/p_a/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${TOKEN_SETTINGS.RUNNEL_PUBLISH_TOKENS}` },
    body: "1",
  });
  equal(answer.status, 202, await answer.text());
  equal((await stream.event())!.data, '"1"');
  await stream.cancel();
});
