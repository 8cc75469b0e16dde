import { match, ok, strictEqual as equal } from "node:assert/strict";
import { EVENT } from "../support/clients/http.ts";
import { encodeUtf8 } from "../support/generators/text.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { assertIdle, jsonPost, startService } from "../support/service.ts";
import { eventually, flush } from "../support/wait.ts";

const MiB = 1024 * 1024;

/** Returns the head of an upload, for a service on this machine. */
function head(rest: string): string {
  return `POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${rest}`;
}

const uploads: [name: string, text: string][] = [
  ["of a known length", head(`Content-Length: 500000\r\n\r\n${" ".repeat(100_000)}`)],
  ["in chunks", head(`Transfer-Encoding: chunked\r\n\r\n7a120\r\n${" ".repeat(100_000)}`)],
];

for (const [name, text] of uploads) {
  Deno.test(`unfinished uploads ${name} take a bounded room, and small publishes are served`, async () => {
    await using service = await serveService({
      settings: { RUNNEL_MAX_WAITING_BYTES: String(MiB) },
    });
    await using stack = new AsyncDisposableStack();
    const connections = await Promise.all(
      Array.from({ length: 40 }, async () => stack.use(await sendRaw(service.port, text))),
    );
    // Each of them needs 128 KiB: six fit into three quarters of the room.
    await eventually("all others are refused", () => service.handling === 6);
    ok(service.bodies.bytes > 0.6 * MiB && service.bodies.bytes <= 0.75 * MiB);
    const answer = await fetch(`${service.url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(EVENT),
    });
    await answer.body!.cancel();
    equal(answer.status, 202);

    service.clock.advance(10_000);
    const answers = await Promise.all(
      connections.map((connection) => readRaw(connection, (text) => text.includes("}"))),
    );
    equal(answers.filter((text) => /^HTTP\/1\.1 408 /.test(text)).length, 6);
    equal(answers.filter((text) => /^HTTP\/1\.1 503 /.test(text)).length, 34);
    match(
      answers.find((text) => text.includes(" 503 "))!,
      /retry-after: 1\r\n[^]*too much arrives/i,
    );
    await assertIdle(service);
  });
}

Deno.test("unfinished uploads of one address leave room for others", async () => {
  await using service = await startService({
    settings: { RUNNEL_MAX_WAITING_BYTES: String(MiB) },
  });
  const send = (address: string, body: BodyInit) =>
    service.fetch(
      new Request("http://localhost/ingest", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
      }),
      { remoteAddr: { transport: "tcp", hostname: address, port: 1 } },
    );
  const unfinished = Array.from({ length: 5 }, () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    writer.write(encodeUtf8(" ".repeat(60_000))).catch(() => {});
    return send("192.0.2.1", readable);
  });
  await flush();
  const first = await Promise.race(unfinished);
  equal(first.status, 429);
  equal((await first.json()).type, "urn:runnel:problem:too-many-requests");
  const other = await send("192.0.2.2", JSON.stringify(EVENT).padEnd(60_000));
  await other.body!.cancel();
  equal(other.status, 202);
  service.clock.advance(10_000);
  const statuses = (await Promise.all(unfinished)).map(({ status }) => status).sort();
  equal(statuses.join(), "408,408,408,408,429");
  await assertIdle(service);
});

Deno.test("a drain tells clients to leave their connections, except for a body that it cuts off", async () => {
  await using service = await startService();
  await service.hub.stopPublishing(0);
  const refused = await service.fetch(jsonPost("/ingest", EVENT));
  equal(refused.headers.get("Connection"), "close");
  equal((await refused.json()).type, "urn:runnel:problem:draining");
  const body = new ReadableStream({ pull: (stream) => stream.error(new Error("shut down")) });
  const cutOff = await service.fetch(
    new Request(jsonPost("/ingest", EVENT), { body, method: "POST" }),
  );
  equal(cutOff.status, 503);
  equal(cutOff.headers.get("Retry-After"), "1");
  equal(cutOff.headers.get("Connection"), "keep-alive");
  await cutOff.body!.cancel();
});
