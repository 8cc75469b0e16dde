import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { type Destination, ingestUrl } from "../../lib/workflow/destination.ts";

const addresses: [url: string | undefined, ingest: string][] = [
  [undefined, "http://localhost:8000/ingest"],
  ["http://localhost:8000", "http://localhost:8000/ingest"],
  ["http://localhost:8000/", "http://localhost:8000/ingest"],
  ["http://localhost:8000//", "http://localhost:8000/ingest"],
  ["https://example.com/events", "https://example.com/events/ingest"],
  ["https://example.com/a/b/", "https://example.com/a/b/ingest"],
  ["https://example.com//a", "https://example.com//a/ingest"],
  ["https://example.com/a?b=c#d", "https://example.com/a/ingest"],
  ["HTTP://[::1]:80/", "http://[::1]/ingest"],
];

for (const [url, ingest] of addresses) {
  Deno.test(`ingestUrl() accepts the URL ${url}`, () => {
    equal(ingestUrl({ pipeline: "p_a", url }).href, ingest);
  });
}

const refused: [destination: unknown, message: string][] = [
  [{}, "Cannot send to pipeline undefined: expected p_ followed by 1 to 62"],
  [{ pipeline: "aBcDeF" }, 'Cannot send to pipeline "aBcDeF": expected p_ followed by 1 to 62'],
  [{ pipeline: "p_a", url: "" }, 'Cannot send to "": expected an http or https URL'],
  [{ pipeline: "p_a", url: "localhost:8000" }, 'Cannot send to "localhost:8000": expected an http'],
  [{ pipeline: "p_a", url: "file:///tmp" }, 'Cannot send to "file:///tmp": expected an http'],
  [{ pipeline: "p_a", url: "http://me:secret@h" }, "Cannot send: the URL has a user name or a"],
  [{ pipeline: "p_a", token: "secret\n" }, "Cannot send: the token: expected visible ASCII"],
  [{ pipeline: "p_a", token: "secret one" }, "Cannot send: the token: expected visible ASCII"],
  [{ pipeline: "p_a", token: "secrét" }, "Cannot send: the token: expected visible ASCII"],
];

for (const [destination, message] of refused) {
  Deno.test(`ingestUrl() refuses ${JSON.stringify(destination)}`, () => {
    try {
      ingestUrl(destination as Destination);
    } catch (error) {
      ok(error instanceof TypeError);
      equal(error.message.slice(0, message.length), message);
      equal(/secr/.test(error.message), false);
      return;
    }
    throw new Error("Expected a TypeError");
  });
}

Deno.test("ingestUrl() ignores an empty token", () => {
  match(ingestUrl({ pipeline: "p_a", token: "" }).href, /ingest$/);
  deepEqual(ingestUrl({ pipeline: "p_a" }), ingestUrl({ pipeline: "p_a", token: "t-1._~" }));
});
