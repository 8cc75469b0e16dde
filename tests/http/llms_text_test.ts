import { match, ok, strictEqual as equal } from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { llmsText } from "../../lib/http/llms_text.ts";
import { readPublishRequest } from "../../lib/http/publish_request.ts";
import { welcomeText } from "../../lib/http/welcome.ts";
import { assertHeaders } from "../support/clients/http.ts";
import { TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { encodeUtf8 } from "../support/generators/text.ts";
import { startService } from "../support/service.ts";

const ORIGIN = "https://runnel.example:8443";

Deno.test("GET /llms.txt answers a text with the address of the request", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const response = await service.fetch(new Request(`${ORIGIN}/llms.txt`));
  equal(response.status, 200);
  assertHeaders(response, { "Content-Type": "text/plain; charset=UTF-8" });
  const text = await response.text();
  ok(text.includes(`curl ${ORIGIN}/ingest`));
  match(text, /needs a token: Authorization: Bearer/);
});

Deno.test("llmsText() shows a valid publish, and fits on a page", () => {
  const text = llmsText(ORIGIN, readConfig({}));
  const [, type] = /-H 'Content-Type: ([^']+)'/.exec(text)!;
  const [, body] = /-d '([^']+)'/.exec(text)!;
  const { pipeline } = readPublishRequest({ contentType: type!, body: encodeUtf8(body!) });
  ok(text.includes(`new EventSource("${ORIGIN}/pipelines/${pipeline}/sse")`));
  const lines = text.split("\n");
  ok(lines.length < 90, `${lines.length} lines`);
  equal(lines.find((line) => line.length > 110), undefined);
});

Deno.test("llmsText() tells the limits of the settings", () => {
  const text = llmsText(
    ORIGIN,
    readConfig({ RUNNEL_HISTORY: "7", RUNNEL_MAX_BODY_BYTES: String(256 * 1024) }),
  );
  ok(text.includes("the newest 7\nevents"));
  ok(text.includes("Request: 256 KiB"));
});

for (const create of [llmsText, welcome]) {
  Deno.test(`${create.name}() sends a token in each command that needs one, and in no other`, () => {
    const count = (settings: Record<string, string>) =>
      create(ORIGIN, readConfig(settings)).match(/-H "Authorization: Bearer \$TOKEN"/g)?.length ??
        0;
    equal(count({}), 0);
    equal(count(TOKEN_SETTINGS), TOKEN_SETTINGS.RUNNEL_SUBSCRIBE === "token" ? 2 : 1);
    equal(count({ RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher" }), 1);
  });
}

function welcome(origin: string, { access }: ReturnType<typeof readConfig>): string {
  return welcomeText(origin, access);
}
