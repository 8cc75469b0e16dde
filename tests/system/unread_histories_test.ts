import { ok, strictEqual as equal } from "node:assert/strict";
import http2 from "node:http2";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { type ServedTestService, serveService } from "../support/servers/serve_service.ts";
import { assertIdle, jsonPost } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

/** Events of a history, in all 24 MB: more than the kernel takes for a connection. */
const HISTORY = 400;
const PAYLOAD = "x".repeat(60_000);

const REQUEST = "GET /pipelines/p_a/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

async function start(): Promise<ServedTestService> {
  const service = await serveService({
    settings: { RUNNEL_HISTORY: String(HISTORY), RUNNEL_MAX_HISTORIES: "3" },
  });
  const events = Array(8).fill({ pipeline: "p_a", channel: "events", payload: PAYLOAD });
  for (let sent = 0; sent < HISTORY; sent += 8) {
    equal((await service.fetch(jsonPost("/ingest", events))).status, 202);
  }
  return service;
}

async function statusOf(service: ServedTestService): Promise<number> {
  const response = await fetch(`${service.url}/pipelines/p_a/events?history=1`);
  await response.body!.cancel();
  return response.status;
}

/** Waits until nobody asks for more of the log. */
async function untilQuiet({ kv: { calls } }: ServedTestService): Promise<void> {
  let next = -1;
  await eventually("the connections take no more", async () => {
    const isQuiet = calls.next === next;
    next = calls.next;
    // The kernel takes bytes without telling: only time shows that it takes no more.
    await new Promise((resolve) => setTimeout(resolve, 300));
    return isQuiet;
  });
}

Deno.test("A history that is not read stops, and counts until its connection closes", async () => {
  await using service = await start();
  const unread = [];
  for (let i = 0; i < 3; i++) unread.push(await sendRaw(service.port, REQUEST));
  await eventually("all are sent", () => service.hub.stats.histories === 3);
  equal(await statusOf(service), 503);
  await untilQuiet(service);
  service.clock.advance(120_000);
  equal(service.clock.liveTimers, 0);
  equal(service.hub.stats.histories, 3);
  equal(await statusOf(service), 503);
  const text = await readRaw(unread[0]!);
  ok(text.startsWith("HTTP/1.1 200 OK\r\n"));
  ok(text.length < HISTORY * PAYLOAD.length / 2, `${text.length} bytes were queued`);
  ok(!text.endsWith("\r\n0\r\n\r\n"), "the body does not end as if it were whole");
  for (const connection of unread) connection.close();
  await eventually("their places are free", () => service.hub.stats.histories === 0);
  equal(await statusOf(service), 200);
  await eventually("this one is over", () => service.hub.stats.histories === 0);
  await assertIdle(service);
});

Deno.test("A history that is not read over HTTP/2 counts until its stream ends", async () => {
  await using service = await start();
  const session = http2.connect(service.url, { settings: { initialWindowSize: 0 } });
  const closed = Promise.withResolvers<void>();
  session.on("close", closed.resolve);
  const streams = [];
  for (let i = 0; i < 3; i++) {
    const stream = session.request({ ":path": "/pipelines/p_a/events?history=1" });
    stream.on("error", () => {});
    streams.push(stream);
  }
  await eventually("all are sent", () => service.hub.stats.histories === 3);
  await untilQuiet(service);
  equal(service.hub.stats.histories, 3);
  equal(await statusOf(service), 503);
  for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
  await eventually("their places are free", () => service.hub.stats.histories === 0);
  session.close();
  await closed.promise;
  await assertIdle(service);
});

Deno.test("A history that is read slowly arrives whole", async () => {
  await using service = await start();
  const connection = await sendRaw(service.port, REQUEST);
  let text = "";
  for (let i = 0; i < 5; i++) {
    text += await readRaw(connection, (part) => part.length > 1_000_000);
    // Not while the log is read, which has a deadline of its own.
    await untilQuiet(service);
    service.clock.advance(20_000);
  }
  text += await readRaw(connection, (part) => part.endsWith("\r\n0\r\n\r\n"));
  connection.close();
  equal(text.split('"channel":"events"').length - 1, HISTORY);
  await eventually("its place is free", () => service.hub.stats.histories === 0);
  await assertIdle(service);
});
