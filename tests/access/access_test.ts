import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { readHistoryOf } from "../support/history.ts";
import {
  bearerHeader,
  mint,
  PUBLISH_TOKEN,
  SECRET,
  TOKEN_SETTINGS,
} from "../support/clients/tokens.ts";
import { jsonEvent } from "../support/events.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";
import { flush } from "../support/wait.ts";

/** Whether to print the matrix. */
const PRINT = Deno.env.has("RUNNEL_TEST_MATRIX");

const MODES = {
  open: {},
  public: { RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN, RUNNEL_TOKEN_SECRET: SECRET },
  token: TOKEN_SETTINGS,
};

type Mode = keyof typeof MODES;

/** The routes. All concern `p_a`, some `p_b` too, and the channel `orders` if they have one. */
const ROUTES = {
  "POST /ingest": { method: "POST", path: "/ingest" },
  "POST /ingest/:p/:c": { method: "POST", path: "/ingest/p_a/orders" },
  "DELETE …/events": { method: "DELETE", path: "/pipelines/p_a/events" },
  "POST …/tickets": { method: "POST", path: "/pipelines/p_a/tickets" },
  "DELETE …/tickets": { method: "DELETE", path: "/pipelines/p_a/tickets" },
  "GET …/events": { method: "GET", path: "/pipelines/p_a/events" },
  "GET …/sse": { method: "GET", path: "/pipelines/p_a/sse" },
  "HEAD …/sse": { method: "HEAD", path: "/pipelines/p_a/sse" },
  "GET …/sse?channel=": { method: "GET", path: "/pipelines/p_a/sse?channel=orders" },
  "GET /healthz": { method: "GET", path: "/healthz" },
  "GET /openapi.json": { method: "GET", path: "/openapi.json" },
  // Of p_a and p_b, as are those that follow.
  "POST /tickets": { method: "POST", path: "/tickets" },
  "GET /sse": { method: "GET", path: "/sse?pipeline=p_a&pipeline=p_b" },
  "HEAD /sse": { method: "HEAD", path: "/sse?pipeline=p_a&pipeline=p_b" },
  "GET /sse?channel=": { method: "GET", path: "/sse?pipeline=p_b&pipeline=p_a&channel=orders" },
} as const;

/** Bodies of requests, by the path. */
const BODIES: Partial<Record<string, string>> = {
  "/ingest": '{"pipeline":"p_a","channel":"orders","payload":1}',
  "/tickets": '{"pipelines":["p_a","p_b"]}',
};

type RouteName = keyof typeof ROUTES;

/** Credentials of a request: headers, or a ticket in its query. */
interface Credential {
  headers?: Record<string, string>;
  ticket?: string;
}

type Show = (service: TestService) => Credential | Promise<Credential>;

function jwt(claim: unknown): Show {
  return async () => ({ headers: bearerHeader(await mint(claim)) });
}

/** Shows a ticket, after the given preparation. */
function ticket(
  { pipelines = ["p_a"], channels = [] as string[], isSpent = false, ageMs = 0 } = {},
): Show {
  return async (service) => {
    const { tickets } = service;
    const isOfSeveral = pipelines.length > 1;
    const body = { ...channels.length > 0 && { channels }, ...isOfSeveral && { pipelines } };
    const path = isOfSeveral ? "/tickets" : `/pipelines/${pipelines[0]}/tickets`;
    const response = await service.fetch(jsonPost(path, body, bearerHeader(PUBLISH_TOKEN)));
    const secret = new URL((await response.json()).url).searchParams.get("ticket")!;
    if (isSpent) {
      const use = { pipelines, channels, lastEventId: undefined };
      for (const { close } of (await tickets.redeem(secret, use)).sessions) close();
    }
    service.clock.advance(ageMs);
    return { ticket: secret };
  };
}

const ALL = { publish: ["*"], subscribe: ["*"] };

const CREDENTIALS: Record<string, Show> = {
  "nothing": () => ({}),
  "invalid token": () => ({ headers: bearerHeader("a-token-of-somebody-else") }),
  "static token": () => ({ headers: bearerHeader(PUBLISH_TOKEN) }),
  "static token, other scheme": () => ({ headers: { Authorization: `Basic ${PUBLISH_TOKEN}` } }),
  "JWT to publish": jwt({ publish: ["p_a"] }),
  "JWT to subscribe": jwt({ subscribe: ["p_a"] }),
  "JWT for both, by p_*": jwt({ publish: ["p_*"], subscribe: ["p_*"] }),
  "JWT, other pipeline": jwt({ publish: ["p_b", "p_ab*"], subscribe: ["p_b", "p_ab*"] }),
  "JWT, channel orders": jwt({ ...ALL, channels: ["orders"] }),
  "JWT, other channel": jwt({ ...ALL, channels: ["names"] }),
  "JWT, no channel": jwt({ ...ALL, channels: [] }),
  "JWT without a claim": jwt(undefined),
  "JWT, expired": async ({ clock }) => ({ headers: bearerHeader(await mint(ALL, clock.now())) }),
  "cookie to subscribe": async () => ({
    headers: { Cookie: `a=b; runnel_token=${await mint({ subscribe: ["p_a"] })}` },
  }),
  "cookie to publish": async () => ({
    headers: { Cookie: `runnel_token=${await mint({ publish: ["p_a"] })}` },
  }),
  "cookie, other name": async () => ({
    headers: { Cookie: `x_runnel_token=${await mint({ subscribe: ["p_a"] })}` },
  }),
  "ticket": ticket(),
  "ticket, other pipeline": ticket({ pipelines: ["p_b"] }),
  "ticket, other channel": ticket({ channels: ["names"] }),
  "ticket, 5 minutes old": ticket({ ageMs: 300_000 }),
  "ticket, spent 9 s ago": ticket({ isSpent: true, ageMs: 9000 }),
  "ticket, spent 10 s ago": ticket({ isSpent: true, ageMs: 10_000 }),
  "ticket of two": ticket({ pipelines: ["p_a", "p_b"] }),
  "ticket of two, others": ticket({ pipelines: ["p_b", "p_c"] }),
  "ticket of two, other channel": ticket({ pipelines: ["p_a", "p_b"], channels: ["names"] }),
  "ticket of two, spent 9 s ago": ticket({
    pipelines: ["p_a", "p_b"],
    isSpent: true,
    ageMs: 9000,
  }),
  "ticket of two, spent 10 s ago": ticket({
    pipelines: ["p_a", "p_b"],
    isSpent: true,
    ageMs: 10_000,
  }),
  "JWT to subscribe, spent ticket": async (service) => ({
    ...await jwt({ subscribe: ["p_a"] })(service),
    ...await ticket({ isSpent: true, ageMs: 10_000 })(service),
  }),
  "token in the query": async () => ({ ticket: await mint(ALL) }),
};

const NAMES = Object.keys(ROUTES) as RouteName[];

/** Statuses for each credential, in the order of the routes. */
const EXPECTED: Record<Mode, Record<string, string>> = {
  open: {
    "nothing": "202 202 204 201 204 200 200 200 200 200 200 201 200 200 200",
  },
  public: {
    "nothing": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "invalid token": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "static token": "202 202 204 201 204 200 200 200 200 200 200 201 200 200 200",
    "static token, other scheme": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "JWT to publish": "202 202 204 403 204 200 200 200 200 200 200 403 200 200 200",
    "JWT to subscribe": "403 403 403 201 403 200 200 200 200 200 200 403 200 200 200",
    "JWT for both, by p_*": "202 202 204 201 204 200 200 200 200 200 200 201 200 200 200",
    "JWT, other pipeline": "403 403 403 403 403 200 200 200 200 200 200 403 200 200 200",
    "JWT, channel orders": "202 202 403 201 403 200 200 200 200 200 200 201 200 200 200",
    "JWT, other channel": "403 403 403 201 403 200 200 200 200 200 200 201 200 200 200",
    "JWT, no channel": "403 403 403 403 403 200 200 200 200 200 200 403 200 200 200",
    "JWT without a claim": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "JWT, expired": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "cookie to subscribe": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "cookie to publish": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "cookie, other name": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket, other pipeline": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket, other channel": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket, 5 minutes old": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket, spent 9 s ago": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket, spent 10 s ago": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket of two": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket of two, others": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket of two, other channel": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket of two, spent 9 s ago": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "ticket of two, spent 10 s ago": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
    "JWT to subscribe, spent ticket": "403 403 403 201 403 200 200 200 200 200 200 403 200 200 200",
    "token in the query": "401 401 401 401 401 200 200 200 200 200 200 401 200 200 200",
  },
  token: {
    "nothing": "401 401 401 401 401 401 401 401 401 200 200 401 401 401 401",
    "invalid token": "401 401 401 401 401 401 401 401 401 200 200 401 401 401 401",
    "static token": "202 202 204 201 204 403 403 403 403 200 200 201 403 403 403",
    "static token, other scheme": "401 401 401 401 401 401 401 401 401 200 200 401 401 401 401",
    "JWT to publish": "202 202 204 403 204 403 403 403 403 200 200 403 403 403 403",
    "JWT to subscribe": "403 403 403 201 403 200 200 200 200 200 200 403 403 403 403",
    "JWT for both, by p_*": "202 202 204 201 204 200 200 200 200 200 200 201 200 200 200",
    "JWT, other pipeline": "403 403 403 403 403 403 403 403 403 200 200 403 403 403 403",
    "JWT, channel orders": "202 202 403 201 403 200 200 200 200 200 200 201 200 200 200",
    "JWT, other channel": "403 403 403 201 403 200 200 200 403 200 200 201 200 200 403",
    "JWT, no channel": "403 403 403 403 403 403 403 403 403 200 200 403 403 403 403",
    "JWT without a claim": "401 401 401 401 401 401 401 401 401 200 200 401 401 401 401",
    "JWT, expired": "401 401 401 401 401 401 401 401 401 200 200 401 401 401 401",
    "cookie to subscribe": "401 401 401 401 401 200 200 200 200 200 200 401 403 403 403",
    "cookie to publish": "401 401 401 401 401 403 403 403 403 200 200 401 403 403 403",
    "cookie, other name": "401 401 401 401 401 401 401 401 401 200 200 401 401 401 401",
    "ticket": "401 401 401 401 401 401 200 401 200 200 200 401 403 401 403",
    "ticket, other pipeline": "401 401 401 401 401 401 403 401 403 200 200 401 403 401 403",
    "ticket, other channel": "401 401 401 401 401 401 200 401 403 200 200 401 403 401 403",
    "ticket, 5 minutes old": "401 401 401 401 401 401 403 401 403 200 200 401 403 401 403",
    "ticket, spent 9 s ago": "401 401 401 401 401 401 200 401 200 200 200 401 403 401 403",
    "ticket, spent 10 s ago": "401 401 401 401 401 401 403 401 403 200 200 401 403 401 403",
    "ticket of two": "401 401 401 401 401 401 200 401 200 200 200 401 200 401 200",
    "ticket of two, others": "401 401 401 401 401 401 403 401 403 200 200 401 403 401 403",
    "ticket of two, other channel": "401 401 401 401 401 401 200 401 403 200 200 401 200 401 403",
    "ticket of two, spent 9 s ago": "401 401 401 401 401 401 200 401 200 200 200 401 200 401 200",
    "ticket of two, spent 10 s ago": "401 401 401 401 401 401 403 401 403 200 200 401 403 401 403",
    "JWT to subscribe, spent ticket": "403 403 403 201 403 200 200 200 200 200 200 403 403 403 403",
    "token in the query": "401 401 401 401 401 401 403 401 403 200 200 401 403 401 403",
  },
};

/** Returns the statuses of the routes for a credential, which is created anew for each. */
async function statuses(mode: Mode, show: Show): Promise<string[]> {
  await using service = await startService({ settings: MODES[mode] });
  await service.hub.publish("p_a", [{ ...jsonEvent(1), channel: "orders" }]);
  const answers: string[] = [];
  for (const name of NAMES) {
    const { method, path } = ROUTES[name];
    const { headers = {}, ticket } = await show(service);
    const url = new URL(`http://localhost${path}`);
    if (ticket) url.searchParams.set("ticket", ticket);
    const body = BODIES[path];
    const response = await service.fetch(
      new Request(url, {
        method,
        headers: body ? { ...headers, "Content-Type": "application/json" } : headers,
        body: body ?? null,
      }),
    );
    await response.body?.cancel();
    answers.push(String(response.status));
    equal(
      response.headers.get("WWW-Authenticate"),
      response.status === 401 ? "Bearer" : null,
      `${name} by ${mode}`,
    );
    if (method === "POST") {
      const events = await readHistoryOf(service.hub, "p_a");
      // Only accepted events are stored.
      const stored = events.length;
      const accepted = answers.filter((status, index) =>
        status === "202" || (status === "204" && index === 2)
      );
      const wasCleared = accepted.length === 3;
      equal(stored, wasCleared ? 0 : 1 + accepted.length, `${name} by ${mode}`);
    }
  }
  await flush();
  await assertIdle(service);
  return answers;
}

for (const mode of Object.keys(MODES) as Mode[]) {
  Deno.test(`each route answers each credential, with streams in the mode ${mode}`, async () => {
    const rows: Record<string, string> = {};
    for (const [name, show] of Object.entries(CREDENTIALS)) {
      rows[name] = (await statuses(mode, show)).join(" ");
    }
    if (PRINT) print(mode, rows);
    const expected = Object.keys(CREDENTIALS).map((name) =>
      [name, EXPECTED[mode][name] ?? EXPECTED[mode]["nothing"]] as const
    );
    deepEqual(rows, Object.fromEntries(expected));
  });
}

/** Prints the matrix of a mode as a table. */
function print(mode: Mode, rows: Record<string, string>): void {
  const lines = Object.entries(rows).map(([name, statuses]) => [name, ...statuses.split(" ")]);
  console.log(`\n${mode}\n`);
  const head = ["", ...NAMES.map((name) => `\`${name}\``)];
  for (const cells of [head, head.map(() => "---"), ...lines]) {
    console.log(`| ${cells.join(" | ")} |`);
  }
}
