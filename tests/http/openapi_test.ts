import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { readConfig, type Settings } from "../../lib/config/config.ts";
import { createRoutes } from "../../lib/http/openapi.ts";
import { validateChannel } from "../../lib/protocol/event_rules.ts";
import { request } from "../support/clients/http.ts";
import { TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { startService } from "../support/service.ts";

/** Part of an OpenAPI document that these tests read. */
interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, unknown> };
}

interface Operation {
  summary: string;
  parameters?: { name: string; in: string; required?: boolean; schema: Record<string, unknown> }[];
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, { description: string; content?: Record<string, unknown> }>;
  security?: Record<string, string[]>[];
}

/** Schema of an event stream. */
interface StreamSchema {
  contentMediaType: string;
  contentSchema: {
    items: {
      anyOf: {
        required: string[];
        properties: {
          event: { const?: string };
          data: {
            contentMediaType: string;
            contentSchema: { properties?: { reason?: { enum: string[] } } };
          };
        };
      }[];
    };
  };
}

/** Schema of a line of a stream. */
interface LineSchema {
  required: string[];
  properties: Record<string, unknown>;
}

async function fetchDocument(settings: Settings = {}): Promise<Document> {
  await using service = await startService({ settings });
  const response = await service.fetch(new Request("http://localhost/openapi.json"));
  equal(response.status, 200);
  equal(response.headers.get("Content-Type"), "application/json");
  return await response.json();
}

Deno.test("openapi.json describes each route and method with its responses", async () => {
  const { openapi, info, paths } = await fetchDocument();
  match(openapi, /^3\.1\./);
  ok(info.title && info.version);
  const answers = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { responses }]) =>
      `${method} ${path}: ${Object.keys(responses).sort().join(" ")}`
    )
  );
  deepEqual(answers.sort(), [
    "delete /pipelines/{pipeline}/events: 204 4XX 503",
    "delete /pipelines/{pipeline}/tickets: 204 4XX 503",
    "delete /pipelines/{pipeline}: 204 4XX 503",
    "get /: 200",
    "get /assets/{folder}/{file}: 200 4XX 503",
    "get /diagnose: 200",
    "get /healthz: 200",
    "get /llms.txt: 200",
    "get /metrics: 200 4XX 503",
    "get /openapi.json: 200",
    "get /pipelines/diagnose/sse: 200 4XX 503",
    "get /pipelines/{pipeline}/append: 200 4XX 503",
    "get /pipelines/{pipeline}/events: 200 4XX 503",
    "get /pipelines/{pipeline}/sse: 200 204 4XX 503",
    "get /pipelines/{pipeline}: 200 4XX 503",
    "get /readyz: 200 4XX 503",
    "get /sse: 200 204 4XX 503",
    "post /ingest/{pipeline}/{channel}: 202 4XX 503",
    "post /ingest: 202 4XX 503",
    "post /pipelines/{pipeline}/end: 202 4XX 503",
    "post /pipelines/{pipeline}/events: 200 4XX 503",
    "post /pipelines/{pipeline}/tickets: 201 4XX 503",
    "post /tickets: 201 4XX 503",
  ]);
});

Deno.test("openapi.json has a summary for each operation, and declares path parameters", async () => {
  const { paths } = await fetchDocument();
  for (const [path, operations] of Object.entries(paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { summary, parameters = [], responses } of Object.values(operations)) {
      ok(summary);
      for (const { description } of Object.values(responses)) ok(description);
      const inPath = parameters.filter((parameter) => parameter.in === "path");
      deepEqual(inPath.map(({ name }) => name), named, path);
      ok(inPath.every(({ required }) => required), path);
    }
  }
});

Deno.test("openapi.json contains the schemas that validate", async () => {
  const { paths } = await fetchDocument();
  const stream = paths["/pipelines/{pipeline}/sse"]!["get"]!;
  deepEqual(
    stream.parameters!.map(({ name, in: where }) => `${where} ${name}`).sort(),
    [
      "header Last-Event-ID",
      "path pipeline",
      "query channel",
      "query history",
      "query lastEventId",
      "query since",
      "query trace",
      "query wait",
    ],
  );
  const pipeline = stream.parameters!.find(({ name }) => name === "pipeline")!;
  equal(pipeline.schema["pattern"], "^p_[A-Za-z0-9_-]{1,62}$");
  const channel = stream.parameters!.find(({ name }) => name === "channel")!;
  equal(channel.schema["maxItems"], 20);
  const item = channel.schema["items"] as Record<string, unknown>;
  deepEqual([item["minLength"], item["maxLength"]], [1, 128]);
  const pattern = String(item["pattern"]);
  const reserved = ["error", "open", "errors", "xopen", "runnel", "runnel.", "runnel.live", "a\n"];
  const characters = Array.from({ length: 0x300 }, (_, code) => `a${String.fromCharCode(code)}b`);
  for (const name of [...reserved, ...characters, "\u2028", "😀"]) {
    const isValid = validateChannel(name) === null;
    for (const flags of ["", "u"]) equal(new RegExp(pattern, flags).test(name), isValid, name);
  }
  deepEqual(
    Object.keys(stream.responses["200"]!.content!),
    ["text/event-stream", "application/x-ndjson"],
  );
  const ingest = paths["/ingest"]!["post"]!;
  deepEqual(Object.keys(ingest.requestBody!.content), ["application/json", "application/x-ndjson"]);
  match(JSON.stringify(ingest.requestBody), /"required":\["pipeline","channel"/);
  deepEqual(Object.keys(ingest.responses["4XX"]!.content!), ["application/problem+json"]);
});

Deno.test("openapi.json describes the events of a stream, the control events with their reasons", async () => {
  const { paths } = await fetchDocument();
  const { content } = paths["/pipelines/{pipeline}/sse"]!["get"]!.responses["200"]!;
  const { schema } = content!["text/event-stream"] as { schema: StreamSchema };
  equal(schema.contentMediaType, "text/event-stream");
  const events = schema.contentSchema.items.anyOf.map(({ required, properties }) => {
    deepEqual(required, ["event", "data", "id"]);
    equal(properties.data.contentMediaType, "application/json");
    const { reason } = properties.data.contentSchema.properties ?? {};
    return [properties.event.const, ...reason?.enum ?? []].join(" ");
  });
  deepEqual(events, [
    "",
    "runnel.live",
    "runnel.gap evicted cleared damaged unknown",
    "runnel.end",
    "runnel.expired expired revoked",
  ]);
});

Deno.test("openapi.json describes the lines of a stream, which may have an ID alone", async () => {
  const { paths } = await fetchDocument();
  const { content } = paths["/sse"]!["get"]!.responses["200"]!;
  const { schema } = content!["application/x-ndjson"] as { schema: LineSchema };
  deepEqual(schema.required, ["id"]);
  await using service = await startService();
  await service.publish("p_a", "orders", 1);
  const headers = { Accept: "application/x-ndjson" };
  const url = "http://localhost/sse?pipeline=p_a&pipeline=p_b&wait=0";
  const text = await (await service.fetch(new Request(url, { headers }))).text();
  const lines = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  deepEqual(Object.keys(lines[0]), Object.keys(schema.properties));
  const marker = lines.find(({ channel }) => channel === "runnel.live");
  deepEqual(marker.payload, { pipeline: "p_a", replayed: 1 });
});

Deno.test("openapi.json names the routes that need a token, by the settings", async () => {
  const publishing = [
    "delete /pipelines/{pipeline}",
    "delete /pipelines/{pipeline}/events",
    "delete /pipelines/{pipeline}/tickets",
    "get /pipelines/{pipeline}/append",
    "post /ingest",
    "post /ingest/{pipeline}/{channel}",
    "post /pipelines/{pipeline}/end",
    "post /pipelines/{pipeline}/events",
    "post /pipelines/{pipeline}/tickets",
    "post /tickets",
  ];
  const reading = [
    "get /pipelines/{pipeline}/events",
    "get /pipelines/{pipeline}/sse",
    "get /sse",
  ];
  const RUNNEL_PUBLISH_TOKENS = "a-token-of-a-publisher";
  for (
    const [settings, expected] of [
      [{}, []],
      [{ RUNNEL_PUBLISH_TOKENS }, publishing],
      [TOKEN_SETTINGS, [...publishing, ...reading]],
    ] as [Settings, string[]][]
  ) {
    const { paths, components } = await fetchDocument(settings);
    const guarded: string[] = [];
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { security = [] }] of Object.entries(operations)) {
        if (security.length > 0) guarded.push(`${method} ${path}`);
        for (const name of security.flatMap(Object.keys)) ok(components.securitySchemes[name]);
      }
    }
    deepEqual(guarded.sort(), expected.toSorted());
    await using service = await startService({ settings });
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { security = [] }] of Object.entries(operations)) {
        const url = path.replace("{pipeline}", "p_a").replace("{channel}", "events")
          .replace(/^\/sse$/, "/sse?pipeline=p_a");
        const response = await service.fetch(request(url, { method: method.toUpperCase() }));
        equal(response.status === 401, security.length > 0, `${method} ${path}`);
        await response.body?.cancel();
      }
    }
  }
});

Deno.test("openapi.json describes exactly the methods that the routes allow", async () => {
  await using service = await startService();
  const { paths } = await fetchDocument();
  for (const [path, operations] of Object.entries(paths)) {
    const asset = path.replace("{file}", "style.css").replace("{pipeline}", "p_a");
    const url = `http://localhost${asset.replace("{channel}", "events")}`;
    const { status, headers } = await service.fetch(new Request(url, { method: "PATCH" }));
    equal(status, 405, path);
    const methods = headers.get("Allow")!.toLowerCase().split(", ");
    const described = Object.keys(operations).sort();
    deepEqual(methods.filter((method) => method !== "head").sort(), described, path);
  }
});

Deno.test("createRoutes() has paths for the router", () => {
  const paths = Object.values(createRoutes(readConfig({}))).map((route) => route.getRoutingPath());
  ok(paths.includes("/ingest/:pipeline/:channel"));
  ok(paths.includes("/pipelines/:pipeline/sse"));
});
