import { match, notStrictEqual as notEqual, ok } from "node:assert/strict";
import { createPipelineId, createSnippets } from "../../../lib/pages/start/snippets.js";

Deno.test("createPipelineId() returns another ID each time", () => {
  match(createPipelineId(), /^p_[A-Za-z0-9]{10}$/);
  notEqual(createPipelineId(), createPipelineId());
});

Deno.test("createSnippets() fills in the address and the ID", () => {
  for (const { code } of createSnippets("https://example.com", "p_x1")) {
    ok(code.includes("https://example.com"));
    ok(code.includes("p_x1"));
  }
});

Deno.test("createSnippets() sends a token where one is needed, and asks for a ticket", () => {
  const code = (publish: boolean, subscribe: boolean) =>
    new Map(
      createSnippets("https://example.com", "p_x1", { publish, subscribe })
        .map(({ name, code }) => [name, code]),
    );
  const open = code(false, false);
  for (const [, text] of open) ok(!/TOKEN|ticket/i.test(text), text);
  const header = '-H "Authorization: Bearer $TOKEN"';
  const guarded = code(true, true);
  ok(guarded.get("curl")!.includes(header));
  ok(guarded.get("watch")!.includes(header));
  match(guarded.get("workflow")!, /^\/\/ RUNNEL_TOKEN=\$TOKEN deno task workflow/);
  match(guarded.get("page")!, /tickets[^]*new EventSource\(url\)/);
  const toPublish = code(true, false);
  ok(toPublish.get("curl")!.includes(header));
  ok(!toPublish.get("watch")!.includes(header));
  ok(toPublish.get("page")!.includes('new EventSource("https://example.com/pipelines/p_x1/sse")'));
});
