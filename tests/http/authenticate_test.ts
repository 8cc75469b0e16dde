import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { EVENT } from "../support/clients/http.ts";
import {
  bearerHeader,
  mint,
  PUBLISH_TOKEN,
  sign,
  TOKEN_SETTINGS,
} from "../support/clients/tokens.ts";
import { jsonPost, startService, type TestService } from "../support/service.ts";
import { advanceUntil } from "../support/wait.ts";

async function publishFrom(
  { fetch }: TestService,
  hostname: string,
  headers: HeadersInit = {},
): Promise<Response> {
  const remoteAddr = { transport: "tcp" as const, hostname, port: 1234 };
  const response = await fetch(jsonPost("/ingest", EVENT, headers), { remoteAddr });
  await response.body?.cancel();
  return response;
}

Deno.test("RUNNEL_PUBLISH_RATE rejects an address with 429 until the second is over", async () => {
  await using service = await startService({ settings: { RUNNEL_PUBLISH_RATE: "2" } });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await publishFrom(service, "192.0.2.1")).status);
  deepEqual(statuses, [202, 202, 429]);
  const refused = await publishFrom(service, "192.0.2.1");
  equal(refused.headers.get("Retry-After"), "1");
  equal((await publishFrom(service, "192.0.2.2")).status, 202);
  service.clock.advance(1000);
  equal((await publishFrom(service, "192.0.2.1")).status, 202);
});

Deno.test("RUNNEL_PUBLISH_RATE counts a token from each address, and for clears too", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_PUBLISH_RATE: "2" };
  await using service = await startService({ settings });
  const headers = bearerHeader(PUBLISH_TOKEN);
  equal((await publishFrom(service, "192.0.2.1", headers)).status, 202);
  const clear = new Request("http://localhost/pipelines/p_a/events", { method: "DELETE", headers });
  equal((await service.fetch(clear)).status, 204);
  equal((await publishFrom(service, "192.0.2.2", headers)).status, 429);
  const other = bearerHeader(await mint({ publish: ["p_a"] }));
  const answer = publishFrom(service, "192.0.2.1", other);
  equal((await advanceUntil(service.clock, answer)).status, 202);
});

Deno.test("RUNNEL_PUBLISH_RATE counts requests for tickets", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_PUBLISH_RATE: "2" };
  await using service = await startService({ settings });
  const headers = bearerHeader(PUBLISH_TOKEN);
  const statuses = [];
  for (let i = 0; i < 3; i++) {
    const url = "http://localhost/pipelines/p_a/tickets";
    const response = await service.fetch(new Request(url, { method: "POST", headers }));
    statuses.push(response.status);
    await response.body?.cancel();
  }
  deepEqual(statuses, [201, 201, 429]);
});

Deno.test("RUNNEL_PUBLISH_RATE does not count the address of this machine", async () => {
  await using service = await startService({ settings: { RUNNEL_PUBLISH_RATE: "1" } });
  for (let i = 0; i < 3; i++) equal((await publishFrom(service, "127.0.0.1")).status, 202);
});

Deno.test("a publisher without a token is rejected before its body is read", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  let pulls = 0;
  for (const path of ["/ingest", "/ingest/p_a/events", "/pipelines/p_a/tickets"]) {
    const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
    const response = await service.fetch(
      new Request(`http://localhost${path}`, { method: "POST", body }),
    );
    equal(response.status, 401);
    await response.body?.cancel();
  }
  equal(pulls, 0);
});

Deno.test("a client that may not publish is rejected before its body is read", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const subscriber = await mint({ subscribe: ["*"] });
  const other = await mint({ publish: ["p_b"], channels: ["orders"] });
  let pulls = 0;
  for (
    const [path, token] of [
      ["/ingest", subscriber],
      ["/ingest/p_a/events", subscriber],
      ["/ingest/p_a/orders", other],
      ["/ingest/p_b/events", other],
    ] as const
  ) {
    const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
    const response = await service.fetch(
      new Request(`http://localhost${path}`, {
        method: "POST",
        headers: { ...bearerHeader(token), "Content-Type": "application/json" },
        body,
      }),
    );
    equal(response.status, 403, path);
    await response.body?.cancel();
  }
  equal(pulls, 0);
});

Deno.test("a token of more than 8 KiB is invalid, though its signature is valid", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  for (const [length, status] of [[4000, 202], [8192, 401]] as const) {
    const token = await sign({ runnel: { publish: ["p_a"] }, filling: "x".repeat(length) });
    const headers = bearerHeader(token);
    const response = await service.fetch(
      new Request("http://localhost/ingest/p_a/events", { method: "POST", headers, body: "1" }),
    );
    equal(response.status, status, `${token.length} characters`);
    await response.body?.cancel();
  }
});

Deno.test("RUNNEL_PUBLISH_RATE limits the invalid tokens of an address before they are verified", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_PUBLISH_RATE: "2" };
  await using service = await startService({ settings });
  const invalid = bearerHeader(await mint({ publish: ["p_a"] }, service.clock.now()));
  const from = (hostname: string, headers: HeadersInit) => publishFrom(service, hostname, headers);
  // All at once: none is verified when the last one arrives.
  const responses = await Promise.all([1, 2, 3, 4].map(() => from("192.0.2.1", invalid)));
  deepEqual(responses.map(({ status }) => status).sort(), [401, 401, 429, 429]);
  // Valid or not is not known then.
  const valid = bearerHeader(PUBLISH_TOKEN);
  equal((await from("192.0.2.1", valid)).status, 429);
  equal((await from("192.0.2.2", valid)).status, 202);
  equal((await from("127.0.0.1", invalid)).status, 401);
  service.clock.advance(1000);
  equal((await from("192.0.2.1", valid)).status, 202);
});

Deno.test("RUNNEL_PUBLISH_RATE counts invalid tokens of subscribers, and no valid ones", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_PUBLISH_RATE: "2" };
  await using service = await startService({ settings });
  const remoteAddr = { transport: "tcp" as const, hostname: "192.0.2.1", port: 1234 };
  const read = async (path: string, headers: HeadersInit) => {
    const url = `http://localhost/pipelines/p_a/${path}`;
    const response = await service.fetch(new Request(url, { headers }), { remoteAddr });
    await response.body?.cancel();
    return response.status;
  };
  const valid = bearerHeader(await mint({ subscribe: ["p_a"] }));
  for (let i = 0; i < 5; i++) equal(await read("events", valid), 200);
  equal(await read("events", { Cookie: "runnel_token=x" }), 401);
  equal(await read("sse", bearerHeader("x")), 401);
  equal(await read("sse", bearerHeader("x")), 429);
  equal(await read("events", { Cookie: "runnel_token=x" }), 429);
});
