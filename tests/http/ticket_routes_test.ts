import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { joinEventIds } from "../../lib/protocol/event.ts";
import { post } from "../support/clients/http.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { UNKNOWN_ID } from "../support/events.ts";
import { startService, type TestService } from "../support/service.ts";

async function askForTicket(
  { fetch }: TestService,
  body: BodyInit | null,
  headers: Record<string, string> = {},
  path = "/pipelines/p_a/tickets",
): Promise<Response> {
  return await fetch(
    new Request(`http://localhost${path}`, {
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
  const [body, expected] of [
    ["{", "Cannot read body: it is not JSON"],
    ["[]", "Cannot read body: expected an object"],
    ['"orders"', "Cannot read body: expected an object"],
    ["null", "Cannot read body: expected an object"],
    ['{"channels":"orders"}', 'Cannot read body.channels: expected a list, such as ["orders"]'],
    ['{"channels":null}', 'Cannot read body.channels: expected a list, such as ["orders"]'],
    ['{"channels":[]}', "expected at least one channel"],
    ['{"channels":["error"]}', "Cannot read body.channels: "],
    ['{"channel":["orders"]}', 'Unrecognized key: "channel"'],
    ['{"lastEventId":7}', "Cannot read body.lastEventId: expected a string"],
    ['{"lastEventId":null}', "Cannot read body.lastEventId: expected a string"],
    [JSON.stringify({ lastEventId: "x".repeat(321) }), "expected 320 characters at most"],
    [
      JSON.stringify({ channels: Array.from({ length: 21 }, (_, index) => `c${index}`) }),
      "expected 20 channels at most",
    ],
  ] as const
) {
  Deno.test(`POST …/tickets rejects ${body.slice(0, 40)}, after authentication`, async () => {
    await using service = await startService({ settings: TOKEN_SETTINGS });
    const known = await askForTicket(service, body);
    equal(known.status, 400);
    const { type, detail } = await known.json();
    equal(type, "urn:runnel:problem:malformed-request");
    ok(detail.includes(expected), detail);
    const stranger = await askForTicket(service, body, { Authorization: "" });
    await stranger.body?.cancel();
    equal(stranger.status, 401);
  });
}

for (const path of ["/pipelines/p_a/tickets", "/tickets"]) {
  Deno.test(`POST ${path} rejects a body that is not UTF-8`, async () => {
    await using service = await startService();
    const body = new Uint8Array([...new TextEncoder().encode('{"channels":["'), 0xff, 0x22, 0x5d]);
    const response = await askForTicket(service, body, {}, path);
    equal(response.status, 400);
    equal((await response.json()).detail, "Cannot read body: it is not UTF-8");
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

Deno.test("POST …/tickets rejects a body of more than 20 KiB with 413", async () => {
  await using service = await startService();
  const escaped = (text: string) => text.replaceAll(/\d/g, "\\u003$&");
  const channels = Array.from(
    { length: 20 },
    (_, i) => `"${"\\u20ac".repeat(126)}${escaped(`${i + 10}`)}"`,
  );
  const pipelines = Array.from({ length: 10 }, (_, i) => `"p_${"x".repeat(61)}${i}"`);
  const lastEventId = joinEventIds(Array(10).fill(`~${"A".repeat(11)}-${"9".repeat(15)}`));
  const longest = `"channels":[${channels}],"lastEventId":"${lastEventId}"}`;
  const answer = async (path: string, body: string) => {
    const response = await service.fetch(post(path, body));
    await response.body?.cancel();
    return response.status;
  };
  for (
    const [path, body] of [
      ["/pipelines/p_a/tickets", `{${longest}`],
      ["/tickets", `{"pipelines":[${pipelines}],${longest}`],
    ] as const
  ) {
    equal(await answer(path, body), 201);
    equal(await answer(path, body.padEnd(20 * 1024 + 1)), 413);
  }
});

Deno.test("POST /tickets returns the URL of a stream of several pipelines, and its expiry", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_TICKET_MS: "1500", RUNNEL_TRUSTED_PROXIES: "1" };
  await using service = await startService({ settings });
  const body = { pipelines: ["p_b", "p_a"], channels: ["a b", "c"], lastEventId: UNKNOWN_ID };
  const response = await askForTickets(service, body, { "X-Forwarded-Proto": "https" });
  equal(response.status, 201);
  equal(response.headers.get("Cache-Control"), "no-store");
  const { url, expires, ...others } = await response.json();
  deepEqual(others, {});
  equal(expires, new Date(service.clock.now() + 1500).toISOString());
  const expected =
    /^https:\/\/localhost\/sse\?pipeline=p_b&pipeline=p_a&channel=a\+b&channel=c&ticket=s\.[\w-]{22}$/;
  ok(expected.test(url), url);
});

Deno.test("POST /tickets returns a URL with the position where streams are public", async () => {
  await using service = await startService();
  const lastEventId = `${UNKNOWN_ID}.${UNKNOWN_ID}`;
  const response = await askForTickets(service, { pipelines: ["p_a", "p_b"], lastEventId });
  equal(new URL((await response.json()).url).searchParams.get("lastEventId"), lastEventId);
});

for (
  const [body, expected] of [
    ["", 'expected at least one. Add "pipelines":["p_aBcDeF"]'],
    ["{}", 'expected at least one. Add "pipelines":["p_aBcDeF"]'],
    ["[]", "Cannot read body: expected an object"],
    ['{"pipelines":"p_a"}', 'Cannot read body.pipelines: expected a list, such as ["p_aBcDeF"]'],
    ['{"pipelines":null}', 'expected a list, such as ["p_aBcDeF"]'],
    ['{"pipelines":[]}', 'expected at least one. Add "pipelines":["p_aBcDeF"]'],
    [`{"pipelines":${JSON.stringify(pipelineIds(11))}}`, "expected 10 pipelines at most"],
    ['{"pipelines":["p_a","p_b","p_a"]}', "expected no pipeline twice"],
    ['{"pipelines":["p_a","b"]}', "pipelines"],
    ['{"pipelines":["p_a",7]}', "expected a string"],
    ['{"pipelines":["p_a"],"channel":["a"]}', "channel"],
    ['{"pipelines":["p_a"],"channels":[]}', "expected at least one channel"],
    [JSON.stringify({ pipelines: ["p_a"], lastEventId: "x".repeat(321) }), "lastEventId"],
  ] as const
) {
  Deno.test(`POST /tickets rejects ${body.slice(0, 40)}: ${expected}`, async () => {
    await using service = await startService({ settings: TOKEN_SETTINGS });
    const known = await askForTicket(service, body, {}, "/tickets");
    equal(known.status, 400);
    const { type, detail } = await known.json();
    equal(type, "urn:runnel:problem:malformed-request");
    ok(detail.includes(expected), detail);
    const stranger = await askForTicket(service, body, { Authorization: "" }, "/tickets");
    await stranger.body?.cancel();
    equal(stranger.status, 401);
  });
}

Deno.test("POST /tickets needs a token that covers all pipelines and channels", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const token = await mint({ subscribe: ["p_a", "p_team_*"], channels: ["a"] });
  const answer = async (pipelines: string[], channels?: string[]) => {
    const response = await askForTickets(service, { pipelines, channels }, bearerHeader(token));
    return [response.status, (await response.json()).detail];
  };
  deepEqual(await answer(["p_a", "p_team_1"]), [201, undefined]);
  for (const pipelines of [["p_b", "p_a", "p_c"], ["p_a", "p_team_1", "p_b"]]) {
    const refusal = 'Cannot subscribe to "p_b": the token does not grant that. ' +
      "Use a token that does";
    deepEqual(await answer(pipelines), [403, refusal]);
  }
  equal((await answer(["p_a", "p_team_1"], ["a", "b"]))[0], 403);
  const publisher = bearerHeader(await mint({ publish: ["p_a"] }));
  const refused = await askForTickets(service, { pipelines: ["p_a"] }, publisher);
  await refused.body?.cancel();
  equal(refused.status, 403);
});

Deno.test("POST /tickets counts one ticket for each pipeline, or none", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_MAX_TICKETS: "5" };
  await using service = await startService({ settings });
  const token = bearerHeader(await mint({ subscribe: ["*"] }));
  const answer = async (count: number, headers = token) => {
    const response = await askForTickets(service, { pipelines: pipelineIds(count) }, headers);
    await response.body?.cancel();
    return response.status;
  };
  deepEqual([await answer(3), await answer(3), await answer(2), await answer(1)], [
    201,
    429,
    201,
    429,
  ]);
  const one = await askForTicket(service, null, token);
  await one.body?.cancel();
  equal(one.status, 429, "of the same quota");
  equal(await answer(10, bearerHeader(PUBLISH_TOKEN)), 201);
});

function askForTickets(
  service: TestService,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return askForTicket(service, JSON.stringify(body), headers, "/tickets");
}

function pipelineIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `p_${index}`);
}
