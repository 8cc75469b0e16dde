import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { serve, type Server } from "../../lib/service/server.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { FaultyKv, pause } from "../support/fakes/kv.ts";
import { textEvent } from "../support/log.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { startService, type TestService } from "../support/service.ts";
import { eventually, flush } from "../support/wait.ts";

const LOCALHOST = { hostname: "127.0.0.1", port: 0 };

/** More events than the buffers of a connection hold. */
const HISTORY = 400;

const LARGE = textEvent(JSON.stringify("x".repeat(60_000)));

/** A service that is served, on a store that can be made to fail. */
async function start() {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const service = await startService({
    open: () => Promise.resolve(kv),
    settings: { RUNNEL_HISTORY: String(HISTORY) },
  });
  return { kv, service, server: serve(service, LOCALHOST) };
}

/** A connection with a stream that has more to send than its client reads. */
async function stall({ hub }: TestService, { address }: Server): Promise<Deno.Conn> {
  for (let i = 0; i < HISTORY; i++) await hub.publish("p_full", [LARGE]);
  const connection = await sendRaw(
    address.port,
    "GET /pipelines/p_full/sse HTTP/1.1\r\nHost: localhost\r\n\r\n",
  );
  await readRaw(connection, (text) => text.includes("event: events"));
  return connection;
}

/** Begins to drain, and tells whether it has ended at a time after that. */
function drain({ clock }: TestService, server: Server) {
  let hasEnded = false;
  let now = 0;
  const draining = server.drain().then(() => hasEnded = true);
  return {
    draining,
    async hasEndedAt(ms: number): Promise<boolean> {
      await flush();
      clock.advance(ms - now);
      now = ms;
      await flush();
      return hasEnded;
    },
  };
}

Deno.test("Server.drain() awaits a client that does not read until 4 s after its call", async () => {
  const { service, server } = await start();
  const connection = await stall(service, server);
  const { draining, hasEndedAt } = drain(service, server);
  equal(await hasEndedAt(3999), false);
  equal(await hasEndedAt(4000), true);
  await draining;
  deepEqual(service.reports.filter((line) => line.startsWith("Leaves connections open")).length, 1);
  connection.close();
  await eventually("the connection is over", () => service.hub.stats.places === 0);
});

Deno.test("Server.drain() awaits connections no longer if publishes took a part of the time", async () => {
  const { kv, service, server } = await start();
  const connection = await stall(service, server);
  const held = pause("answer");
  kv.script("commit", held.fault);
  const publishing = service.hub.publish("p_a", [textEvent("1")]);
  await held.reached;
  const { draining, hasEndedAt } = drain(service, server);
  equal(await hasEndedAt(2400), false);
  held.release();
  await publishing;
  equal(await hasEndedAt(3999), false);
  equal(await hasEndedAt(4000), true);
  await draining;
  connection.close();
  await eventually("the connection is over", () => service.hub.stats.places === 0);
});

Deno.test("Server.drain() refuses publishes that are in flight 2.5 s after its call", async () => {
  const { kv, service, server } = await start();
  const held = pause("answer");
  kv.script("commit", held.fault);
  const publishing = service.hub.publish("p_a", [textEvent("1")]);
  await held.reached;
  let type: string | undefined;
  publishing.catch((error) => type = error.type);
  const { draining, hasEndedAt } = drain(service, server);
  equal(await hasEndedAt(2499), false);
  equal(type, undefined);
  await hasEndedAt(2500);
  equal(type, "outcome-unknown");
  held.release();
  await draining;
});

Deno.test("Server.drain() ends streams at once, and closes connections after 250 ms if all clients read", async () => {
  const { service, server } = await start();
  const url = `http://127.0.0.1:${server.address.port}/pipelines/p_a/sse`;
  const stream = new StreamReader(await fetch(url));
  await stream.until("runnel.live");
  await service.hub.publish("p_a", [textEvent("1")]);
  const ending = stream.events(Infinity);
  const { draining, hasEndedAt } = drain(service, server);
  deepEqual((await ending).map(({ data }) => data), ["1"]);
  const refused = await fetch(url, { headers: { Accept: "application/json" } });
  deepEqual([refused.status, refused.headers.get("Retry-After")], [503, "1"]);
  await refused.body!.cancel();
  equal(await hasEndedAt(249), false);
  await hasEndedAt(250);
  await draining;
  deepEqual(service.reports, []);
  await rejects(fetch(url), TypeError);
  equal(service.clock.liveTimers, 0);
});
