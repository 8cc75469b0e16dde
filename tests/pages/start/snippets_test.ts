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
