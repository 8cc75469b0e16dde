import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { post } from "../support/clients/http.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { startService, type TestService } from "../support/service.ts";

async function askForTicket(
  { fetch }: TestService,
  body: BodyInit | null,
  headers: Record<string, string> = {},
): Promise<Response> {
  const url = "http://localhost/pipelines/p_a/tickets";
  return await fetch(
    new Request(url, {
      method: "POST",
      body,
      headers: { ...bearerHeader(PUBLISH_TOKEN), ...headers },
    }),
  );
}

Deno.test("POST …/tickets returns a URL and its expiry", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_TICKET_MS: "1500" };
  await using service = await startService({ settings });
  const response = await askForTicket(service, null, { "X-Forwarded-Proto": "https" });
  equal(response.headers.get("Cache-Control"), "no-store");
  const { url, expires, ...others } = await response.json();
  deepEqual(others, {});
  equal(expires, new Date(service.clock.now() + 1500).toISOString());
  ok(/^http:\/\/localhost\/pipelines\/p_a\/sse\?ticket=[\w-]{22}$/.test(url), url);
});

for (
  const [proxies, said, scheme] of [
    ["0", "https", "http"],
    ["1", "https", "https"],
    ["1", "HTTPS", "https"],
    ["1", "http", "http"],
    // Of a list, the client can have written what comes before the entries of the proxies.
    ["1", "https, http", "http"],
    ["2", "https, http", "https"],
    ["2", "https", "https"],
    ["3", "http, https", "http"],
    ["1", "javascript", "http"],
    ["1", "xhttps", "http"],
    ["1", "", "http"],
  ] as const
) {
  Deno.test(`POST …/tickets reads X-Forwarded-Proto "${said}" as ${scheme} with ${proxies} trusted proxies`, async () => {
    const settings = { ...TOKEN_SETTINGS, RUNNEL_TRUSTED_PROXIES: proxies };
    await using service = await startService({ settings });
    const response = await askForTicket(service, null, { "X-Forwarded-Proto": said });
    equal(new URL((await response.json()).url).origin, `${scheme}://localhost`);
  });
}

for (
  const body of [
    "{",
    "[]",
    '"orders"',
    "null",
    '{"channels":"orders"}',
    '{"channels":[]}',
    '{"channels":["error"]}',
    '{"channel":["orders"]}',
    '{"lastEventId":7}',
    '{"lastEventId":null}',
    JSON.stringify({ lastEventId: "x".repeat(129) }),
    JSON.stringify({ channels: Array.from({ length: 21 }, (_, index) => `c${index}`) }),
  ]
) {
  Deno.test(`POST …/tickets rejects ${body.slice(0, 40)}, after authentication`, async () => {
    await using service = await startService({ settings: TOKEN_SETTINGS });
    const known = await askForTicket(service, body);
    equal(known.status, 400);
    equal((await known.json()).type, "urn:runnel:problem:malformed-request");
    const stranger = await askForTicket(service, body, { Authorization: "" });
    await stranger.body?.cancel();
    equal(stranger.status, 401);
  });
}

Deno.test("POST …/tickets counts the tickets of a JSON Web Token, and not those of the operator", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_MAX_TICKETS: "2", RUNNEL_PUBLISH_RATE: "1000" };
  await using service = await startService({ settings });
  const tokens = [await mint({ subscribe: ["p_a"] }), await mint({ subscribe: ["p_*"] })];
  const statuses = async (token: string) => {
    const answers = [];
    for (let i = 0; i < 3; i++) {
      const response = await askForTicket(service, null, bearerHeader(token));
      await response.body?.cancel();
      answers.push(response.status);
    }
    return answers;
  };
  for (const token of tokens) deepEqual(await statuses(token), [201, 201, 429]);
  deepEqual(await statuses(PUBLISH_TOKEN), [201, 201, 201]);
  // Half of the time that a ticket lasts: five minutes and twelve hours.
  service.clock.advance((300_000 + 43_200_000) / 2);
  deepEqual(await statuses(await mint({ subscribe: ["p_a"] })), [201, 429, 429]);
});

Deno.test("POST /pipelines/:pipeline/tickets rejects a body of more than 16 KiB with 413", async () => {
  await using service = await startService();
  const channels = Array.from({ length: 20 }, (_, i) => `"${"\\u20ac".repeat(126)}${i + 10}"`);
  const longest = `{"channels":[${channels}]}`;
  const answer = async (body: string) => {
    const response = await service.fetch(post("/pipelines/p_a/tickets", body));
    await response.body?.cancel();
    return response.status;
  };
  equal(await answer(longest), 201);
  equal(await answer(longest.padEnd(16 * 1024 + 1)), 413);
});
