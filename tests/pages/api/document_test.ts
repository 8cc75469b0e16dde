import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { describeAccess, describeSchema, groupRoutes } from "../../../lib/pages/api/document.js";

const operation = { summary: "", responses: {} };

Deno.test("groupRoutes() groups each route once, publishing first", () => {
  const paths = {
    "/": { get: operation },
    "/pipelines/{pipeline}": { get: operation, delete: operation },
    "/ingest": { post: operation },
  };
  const groups = groupRoutes({ paths }).map(({ title, routes }) => [
    title,
    ...routes.map(({ method, path }) => `${method} ${path}`),
  ]);
  deepEqual(groups, [
    ["Publish", "POST /ingest"],
    ["Subscribe and manage", "GET /pipelines/{pipeline}", "DELETE /pipelines/{pipeline}"],
    ["Pages and health", "GET /"],
  ]);
});

Deno.test("describeAccess() names each way to be let in, and none of an open route", () => {
  const components = { securitySchemes: { token: { description: "A token" } } };
  equal(describeAccess({ components }, operation), "");
  const security = [{ token: [] }, { other: [] }];
  equal(
    describeAccess({ components }, { ...operation, security }),
    "Needs one of these: A token; other.",
  );
});

Deno.test("describeSchema() describes types, lists and values", () => {
  equal(describeSchema(), "");
  equal(describeSchema({ type: ["integer", "null"] }), "integer or null");
  equal(describeSchema({ items: { type: "string" }, maxItems: 20 }), "up to 20 of: string");
});
