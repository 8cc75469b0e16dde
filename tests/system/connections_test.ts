import { match, ok, strictEqual as equal } from "node:assert/strict";
import type { Settings } from "../../lib/config/config.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { Attacks } from "../support/generators/attacks.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { sendAttack } from "../support/generators/send_attack.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { type ServedTestService, serveService } from "../support/servers/serve_service.ts";
import { assertIdle, jsonPost, type TestService } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

const KEEP_ALIVE_MS = 1500;
const MiB = 1024 * 1024;

function start(more: Settings = {}): Promise<ServedTestService> {
  const settings = { RUNNEL_KEEPALIVE_MS: String(KEEP_ALIVE_MS), RUNNEL_HISTORY: "400", ...more };
  return serveService({ settings });
}

/** Publishes `count` events of 60 KB in requests of 8. */
async function publishMuch(service: TestService, pipeline: string, count: number): Promise<void> {
  const payload = "x".repeat(60_000);
  for (let sent = 0; sent < count; sent += 8) {
    const events = Array(8).fill({ pipeline, channel: "events", payload });
    equal((await service.fetch(jsonPost("/ingest", events))).status, 202);
  }
}

function get(path: string, headers = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
}

// Disconnects

const departures: {
  when: string;
  stay: (service: TestService, connection: Deno.Conn) => Promise<unknown>;
}[] = [
  {
    when: "whose stream is idle",
    stay: (_, connection) => readRaw(connection, (text) => text.includes("runnel.live")),
  },
  {
    when: "that gets events",
    stay: async (service, connection) => {
      await readRaw(connection, (text) => text.includes("runnel.live"));
      await service.publish("p_a", "events", 1);
      await readRaw(connection, (text) => text.includes("data: 1"));
    },
  },
  {
    when: "that has read only a part of its replay",
    stay: (_, connection) => readRaw(connection, (text) => text.includes("id: ")),
  },
];

for (const { when, stay } of departures) {
  Deno.test(`A server frees the subscriber of a client ${when} as soon as it leaves`, async () => {
    await using service = await start();
    if (when.includes("replay")) await publishMuch(service, "p_a", 200);
    const connection = await sendRaw(service.port, get("/pipelines/p_a/sse"));
    await stay(service, connection);
    equal(service.hub.stats.subscribers, 1);
    connection.close();
    // The clock stands still, so no keep-alive detects it.
    await eventually("the subscriber is gone", () => service.hub.stats.subscribers === 0);
    await assertIdle(service);
  });
}

// Stalled readers

Deno.test("A stalled reader counts as a subscriber until its connection closes", async () => {
  await using service = await start({ RUNNEL_MAX_SUBSCRIBERS: "1" });
  await publishMuch(service, "p_a", 160);
  const stalled = await sendRaw(service.port, get("/pipelines/p_a/sse"));
  await eventually(
    "it stalls",
    () => service.hub.stats.subscribers === 1 && service.handling === 0,
  );
  await eventually("its stream is closed", () => {
    service.clock.advance(KEEP_ALIVE_MS);
    return service.hub.stats.subscribers === 0;
  });
  equal(service.hub.stats.places, 1);
  const refused = await fetch(`${service.url}/pipelines/p_a/sse`);
  equal(refused.status, 503);
  await refused.body?.cancel();
  stalled.close();
  await eventually("its place is free", () => service.hub.stats.places === 0);
});

Deno.test("A stalled reader is closed with little queued, while others are served", async () => {
  await using service = await start();
  const stalled = await sendRaw(service.port, get("/pipelines/p_a/sse"));
  const healthy = new StreamReader(await fetch(`${service.url}/pipelines/p_a/sse`));
  await eventually("both are in", () => service.hub.stats.subscribers === 2);
  await healthy.until("runnel.live");
  let published = 0;
  while (published < 40 * MiB) {
    await publishMuch(service, "p_a", 8);
    // At the pace of this reader: a reader that falls behind the retention misses events.
    for (const { type, data } of await healthy.events(8)) {
      equal(type, "events");
      published += data.length;
    }
  }
  ok(service.hub.stats.tailBytes < 26 * MiB);

  let keepAlives = 0;
  await eventually("the stalled reader is closed", () => {
    if (service.hub.stats.subscribers === 1) return true;
    service.clock.advance(KEEP_ALIVE_MS);
    keepAlives++;
    return false;
  });
  ok(keepAlives >= 2);
  await service.publish("p_a", "events", "still here");
  equal((await healthy.event())!.data, '"still here"');
  await healthy.cancel();

  // The rest of the stream is all that was queued for it, including in the kernel.
  const queued = await readRaw(stalled, (text) => text.endsWith("\r\n0\r\n\r\n"));
  stalled.close();
  ok(queued.length < published / 2, `${queued.length} bytes were queued`);
  match(queued, /\r\n0\r\n\r\n$/);
  await eventually("both are gone", () => service.hub.stats.subscribers === 0);
});

// Bodies

/** A request line and headers with the beginning of a body that is valid JSON already. */
function beginPost(header: string, body: string): string {
  return `POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n` +
    `${header}\r\n\r\n${body}`;
}

const EVENT = '{"pipeline":"p_a","channel":"events","payload":1}\n';
const CHUNK = `${EVENT.length.toString(16)}\r\n${EVENT}\r\n`;

for (
  const [how, request] of [
    ["of an announced length", beginPost("Content-Length: 1000", EVENT)],
    ["in chunks", beginPost("Transfer-Encoding: chunked", CHUNK)],
  ] as const
) {
  Deno.test(`A server stores nothing when an upload ${how} breaks off`, async () => {
    await using service = await start();
    const connection = await sendRaw(service.port, request);
    await eventually("the request is there", () => service.handling === 1);
    connection.close();
    await eventually("the request is over", () => service.handling === 0);
    equal(await service.log.head("p_a"), null);
    await assertIdle(service);
  });
}

Deno.test("A server refuses a body over the limit with 413, with or without Content-Length", async () => {
  await using service = await start();
  const body = new Uint8Array(600 * 1024).fill(32);
  const bodies = { announced: body, chunked: new Blob([body]).stream() };
  for (const [how, body] of Object.entries(bodies)) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(`${service.url}/ingest`, { method: "POST", headers, body });
    equal(response.status, 413, how);
    equal((await response.json()).type, "urn:runnel:problem:too-large");
  }
  equal(await service.log.head("p_a"), null);
});

for (
  const [how, request] of [
    ["as soon as it is announced", beginPost(`Content-Length: ${2 ** 30}`, "")],
    [
      "without a length as soon as it is there",
      beginPost("Transfer-Encoding: chunked", `80001\r\n${" ".repeat(512 * 1024 + 1)}\r\n`),
    ],
  ] as const
) {
  Deno.test(`A server refuses a body over the limit ${how}`, async () => {
    await using service = await start();
    const connection = await sendRaw(service.port, request);
    match(await readRaw(connection, (text) => text.includes("\r\n\r\n")), /^HTTP\/1.1 413 /);
    connection.close();
  });
}

// Headers

Deno.test("A server answers HEAD on a stream without a subscriber", async () => {
  await using service = await start();
  const response = await fetch(`${service.url}/pipelines/p_a/sse`, { method: "HEAD" });
  equal(response.status, 200);
  equal(response.headers.get("Content-Type"), "text/event-stream; charset=utf-8");
  equal(await response.text(), "");
  await assertIdle(service);
});

Deno.test("A server neither compresses nor buffers a stream", async () => {
  await using service = await start();
  const connection = await sendRaw(
    service.port,
    get("/pipelines/p_a/sse", "Accept-Encoding: gzip, br\r\n"),
  );
  const head = await readRaw(connection, (text) => text.includes("runnel.live"));
  match(head, /^HTTP\/1.1 200 /);
  ok(!/^content-encoding:/im.test(head));
  // Too few bytes to fill a buffer, and none follow.
  await service.publish("p_a", "events", "small");
  await readRaw(connection, (text) => text.includes('data: "small"\nid: '));
  connection.close();
  await eventually("the subscriber is gone", () => service.hub.stats.subscribers === 0);
});

// Leaks

Deno.test("A server frees all resources after malformed requests", async () => {
  await using service = await start({ RUNNEL_BODY_TIMEOUT_MS: "2000" });
  const timer = setInterval(() => service.clock.advance(100), 20);
  using _ = { [Symbol.dispose]: () => clearInterval(timer) };
  const target = { host: "localhost", pipeline: "p_a", credentials: "" };
  await Promise.all(Array.from({ length: 10 }, async (_, seed) => {
    const attacks = new Attacks(new SeededRandom(seed));
    for (let i = 0; i < 30; i++) await sendAttack(service.port, attacks.next(target));
  }));
  await eventually("all are gone", () => service.hub.stats.places === 0 && service.handling === 0);
  await assertIdle(service);
  // Some attacks have the headers of a proxy, and come from this machine.
  const reports = service.reports.filter((line) => !line.startsWith("A proxy of this machine"));
  equal(reports.join("\n"), "");
});

Deno.test("A publish whose client closes its sending side is stored, and its answer is lost", async () => {
  await using service = await start();
  const body = '{"pipeline":"p_half","channel":"events","payload":1}';
  const publish = "POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
    `Idempotency-Key: half\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const connection = await sendRaw(service.port, publish);
  await connection.closeWrite();
  equal(await readRaw(connection, () => false), "", "the runtime answers it now: change the docs");
  connection.close();
  // The remedy that the documentation names.
  const again = await fetch(`${service.url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": "half" },
    body,
  });
  equal(again.status, 202);
  equal(again.headers.get("Idempotency-Replayed"), "true");
  await again.body?.cancel();
});
