import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { assertProblem, post, request } from "../support/clients/http.ts";
import { connectLocally } from "../support/servers/local_server.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { startService } from "../support/service.ts";

const PIPELINE_ROUTES = "Near it are GET /pipelines/{pipeline}, ";

for (
  const [path, near] of [
    ["/ingest/", "Near it are POST /ingest, POST /ingest/{pipeline}/{channel}"],
    ["/ingest/p_a", "Near it are POST /ingest, POST /ingest/{pipeline}/{channel}"],
    ["/ingets", "Near it are POST /ingest, POST /ingest/{pipeline}/{channel}"],
    ["/healthcheck", "See GET /openapi.json for all routes"],
    ["/%ff", "See GET /openapi.json for all routes"],
  ] as const
) {
  Deno.test(`POST ${path} is answered with the routes near it`, async () => {
    await using service = await startService();
    const response = await service.fetch(post(path, "{}"));
    equal(await assertProblem(response, 404, "not-found"), `No such route. ${near}`);
  });
}

Deno.test("an unknown path of a pipeline is answered with the routes of pipelines", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/pipelines/p_a/stream"));
  const detail = await assertProblem(response, 404, "not-found");
  equal(detail.slice(15, 15 + PIPELINE_ROUTES.length), PIPELINE_ROUTES);
});

Deno.test("a CONNECT, whose target has no path, is answered with 404", async () => {
  await using service = await serveService();
  for (const target of ["localhost:1", ";"]) {
    using connection = await connectLocally(service.port);
    const head = `CONNECT ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head));
    const answer = new Uint8Array(12);
    await connection.read(answer);
    equal(new TextDecoder().decode(answer), "HTTP/1.1 404", target);
  }
  deepEqual(service.reports, []);
});

for (
  const [name, meant] of [
    ["channels", "channel"],
    ["Channel", "channel"],
    ["last_event_id", "lastEventId"],
    ["histroy", "history"],
    ["tickets", "ticket"],
  ] as const
) {
  Deno.test(`a stream and a history with the parameter ${name} are refused with the right name`, async () => {
    await using service = await startService();
    for (const path of ["sse", "events"]) {
      const response = await service.fetch(request(`/pipelines/p_a/${path}?${name}=a`));
      equal(
        await assertProblem(response, 400, "malformed-request"),
        `Cannot read query: there is no parameter "${name}". Did you mean ${meant}?`,
      );
    }
  });
}

for (const name of ["history", "since", "ticket", "trace", "wait"]) {
  Deno.test(`a stream with the parameter ${name} twice is refused`, async () => {
    await using service = await startService();
    for (const path of ["/pipelines/p_a/sse?", "/sse?pipeline=p_a&"]) {
      const response = await service.fetch(request(`${path}${name}=1&${name}=1`));
      equal(
        await assertProblem(response, 400, "malformed-request"),
        `Cannot read query: the parameter ${name} is given 2 times. Give it once`,
      );
    }
  });
}

for (
  const [what, name, path, init] of [
    ["an append", "channel", "/pipelines/p_a/events", { method: "POST", body: "" }],
    ["a probe", "bytes", "/pipelines/diagnose/sse", {}],
  ] as const
) {
  Deno.test(`${what} with the parameter ${name} twice is refused`, async () => {
    await using service = await startService();
    const response = await service.fetch(request(`${path}?${name}=1&${name}=2`, init));
    equal(
      await assertProblem(response, 400, "malformed-request"),
      `Cannot read query: the parameter ${name} is given 2 times. Give it once`,
    );
  });
}

Deno.test("a stream goes on after the last of several last event IDs in its URL", async () => {
  await using service = await startService();
  const ids = [];
  for (const payload of ["1", "2", "3"]) ids.push(await service.publish("p_a", "orders", payload));
  const stream = await service.subscribe(
    `p_a/sse?lastEventId=${ids[0]}&t=1&lastEventId=${ids[1]}`,
  );
  equal((await stream.event())!.id, ids[2]);
  await stream.cancel();
});

Deno.test("a stream ignores parameters that clients add by themselves", async () => {
  await using service = await startService();
  // Of polyfills and of those who avoid a cache.
  for (const name of ["_", "t", "cb", "r", "cache", "timestamp", "evs_last_event_id", "padding"]) {
    const stream = await service.subscribe(`p_a/sse?${name}=1`);
    await stream.cancel();
  }
});
