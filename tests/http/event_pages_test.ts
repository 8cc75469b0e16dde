import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { assertHeaders, assertProblem, request } from "../support/clients/http.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import {
  describeEvent,
  jsonEvent,
  lastEventIdHeader,
  liveMarker,
  numbers,
  publishNumbers,
  UNKNOWN_ID,
} from "../support/events.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { advanceUntil, flush } from "../support/wait.ts";

const EVENTS = "/pipelines/p_a/events";
const NDJSON = { Accept: "application/x-ndjson" };

function get(
  service: TestService,
  query: string,
  init: RequestInit = {},
): Promise<Response> {
  return service.fetch(request(`${EVENTS}${query}`, init));
}

/** Returns the URL of the next page, without its origin. */
function nextOf({ headers }: Response): string | null {
  const link = headers.get("Link");
  if (link === null) return null;
  const [, reference] = /^<([^>]*)>; rel="next"$/.exec(link)!;
  const { pathname, search } = new URL(reference!, `http://localhost${EVENTS}`);
  equal(pathname, EVENTS);
  return search;
}

/** Reads lines of JSON, each of which ends with a line feed. */
function linesOf(text: string): Record<string, unknown>[] {
  if (text === "") return [];
  equal(text.at(-1), "\n");
  return text.slice(0, -1).split("\n").map((line) => JSON.parse(line));
}

Deno.test("GET /pipelines/:pipeline/events?after= returns pages, each with a link to the next", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 7);
  let next: string | null = `?after=${ids[0]}&limit=2`;
  const pages = [];
  while (next !== null) {
    const response: Response = await get(service, next);
    equal(response.status, 200);
    const { events, lastEventId, ...rest } = await response.json();
    deepEqual(rest, { pipeline: "p_a" });
    assertHeaders(response, {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      "Vary": "Accept",
      "Last-Event-ID": lastEventId,
    });
    equal(events.at(-1).id, lastEventId);
    pages.push(events.map(({ payload }: { payload: number }) => payload));
    next = nextOf(response);
  }
  deepEqual(pages, [[2, 3], [4, 5], [6, 7]]);
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events?after=0 begins with the oldest event", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 3);
  const response = await get(service, "?after=0&limit=2");
  const { events, lastEventId, gap } = await response.json();
  deepEqual([events.length, lastEventId, gap], [2, ids[1], undefined]);
});

Deno.test("the link to the next page keeps the other parameters", async () => {
  await using service = await startService();
  for (let i = 1; i <= 6; i++) await service.publish("p_a", i % 2 ? "a, b" : '"é>', i);
  const query = new URLSearchParams([
    ["channel", "a, b"],
    ["channel", "c"],
    ["limit", "1"],
    ["after", "0"],
    ["_", "7"],
  ]);
  const first = await get(service, `?${query}`);
  const { lastEventId } = await first.json();
  query.set("after", lastEventId);
  equal(nextOf(first), `?${query}`);
  const named = await get(service, `?${new URLSearchParams({ channel: '"é>', after: "0" })}`);
  deepEqual((await named.json()).events.map(({ payload }: { payload: number }) => payload), [
    2,
    4,
    6,
  ]);
  equal(nextOf(named), null);
});

for (const [what, query] of [["a history", ""], ["a page", "?after=0"]] as const) {
  Deno.test(`GET /pipelines/:pipeline/events returns ${what} as lines to a client that asks for NDJSON`, async () => {
    await using service = await startService();
    const time = new Date(service.clock.now()).toISOString();
    const first = await service.publish("p_a", "a\u2029", { text: "\u2028€\u0085", n: 1 });
    const second = await service.publish("p_a", "b", 2);
    for (const accept of ["application/x-ndjson", "application/X-NDJSON;q=0.9, */*"]) {
      const response = await get(service, query, { headers: { Accept: accept } });
      assertHeaders(response, {
        "Content-Type": "application/x-ndjson",
        "Vary": "Accept",
        "Last-Event-ID": second,
      });
      equal(
        await response.text(),
        // Some programs end a line at the separators of Unicode, too.
        `{"id":"${first}","channel":"a\\u2029","time":"${time}",` +
          `"payload":{"text":"\\u2028€\\u0085","n":1}}\n{"id":"${second}","channel":"b","time":"${time}","payload":2}\n`,
      );
    }
    await assertIdle(service);
  });
}

Deno.test("GET /pipelines/:pipeline/events tells a gap and the end of the run in both forms", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 3);
  await service.hub.clear("p_a");
  const last = await advanceUntil(service.clock, service.publish("p_a", "events", 4));
  await service.hub.publish("p_a", [], { end: true });
  const query = `?after=${ids[1]}`;
  const { events, ...rest } = await (await get(service, query)).json();
  equal(events.length, 1);
  const end = { id: last.replace(/4$/, "5"), events: 4 };
  deepEqual(rest, {
    pipeline: "p_a",
    gap: { missed: 1, reason: "cleared" },
    end,
    lastEventId: last,
  });
  const lines = linesOf(await (await get(service, query, { headers: NDJSON })).text());
  deepEqual(lines.map(({ time, ...line }) => [typeof time, line]), [
    ["undefined", {
      id: ids[2],
      channel: "runnel.gap",
      payload: { missed: 1, reason: "cleared" },
    }],
    ["string", { id: last, channel: "events", payload: 4 }],
    ["undefined", { id: end.id, channel: "runnel.end", payload: { events: 4 } }],
  ]);
  const history = linesOf(await (await get(service, "", { headers: NDJSON })).text());
  deepEqual(history.map(({ channel }) => channel), ["events", "runnel.end"]);
});

Deno.test("GET /pipelines/:pipeline/events?after= an ID of another log tells so, and begins anew", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 2);
  const { events, gap } = await (await get(service, `?after=${UNKNOWN_ID}`)).json();
  deepEqual([events.length, gap], [2, { missed: null, reason: "unknown" }]);
  const text = await (await get(service, `?after=${UNKNOWN_ID}`, { headers: NDJSON })).text();
  const [{ id, ...line }] = linesOf(text) as [{ id: string }];
  deepEqual(line, { channel: "runnel.gap", payload: { missed: null, reason: "unknown" } });
  equal(id, events[0].id.replace(/1$/, "0"));
});

for (
  const [query, message] of [
    ["after=", /^Cannot read after: expected the ID of an event, as received, or 0$/],
    ["after=7", /^Cannot read after: /],
    ["after=AAECAwQFBgc-", /^Cannot read after: /],
    ["after=AAECAwQFBgc-01", /^Cannot read after: /],
    ["after=AAECAwQFBgc-1.AAECAwQFBgc-2", /^Cannot read after: /],
    ["after=AAECAwQFBgc-1%0d%0aX: y", /^Cannot read after: /],
    ["after=0&limit=0", /^Cannot read limit: expected a whole number from 1 to 1000$/],
    ["after=0&limit=1001", /^Cannot read limit: /],
    ["after=0&limit=1e3", /^Cannot read limit: /],
    ["after=0&limit=-1", /^Cannot read limit: /],
    ["limit=5", /^Cannot read query: limit is for pages/],
    ["after=0&since=PT1M", /^Cannot read query: since and after exclude each other$/],
    ["since=", /^Cannot read since: expected a date such as/],
    ["since=10m", /^Cannot read since: /],
    ["since=P1M", /^Cannot read since: .* without months and years, of 36500 days at most$/],
    ["since=P36501D", /^Cannot read since: .* of 36500 days at most$/],
    ["since=2026-02-30T00:00:00Z", /^Cannot read since: /],
    ["sinc=PT1M", /there is no parameter "sinc"\. Did you mean since\?$/],
    ["after=0&history=5", /^Cannot read query: history and after exclude each other$/],
    ["lastEventId=AAECAwQFBgc-1", /^Cannot read query: lastEventId is for streams/],
    ["after=0&after=0", /^Cannot read query: the parameter after is given 2 times\. Give it once$/],
    ["history=1&history=1&history=2", /the parameter history is given 3 times\. Give it once$/],
    ["afer=0", /there is no parameter "afer"\. Did you mean after\?$/],
    ["after=0&limits=5", /there is no parameter "limits"\. Did you mean limit\?$/],
  ] as const
) {
  Deno.test(`GET /pipelines/:pipeline/events refuses ?${query}`, async () => {
    await using service = await startService();
    for (const method of ["GET", "HEAD"]) {
      const response = await get(service, `?${query}`, { method });
      if (method === "HEAD") equal(response.status, 400);
      else ok(message.test(await assertProblem(response, 400, "malformed-request")), query);
    }
    await assertIdle(service);
  });
}

Deno.test("HEAD /pipelines/:pipeline/events?after= has the headers of the page", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 3);
  for (const headers of [{}, NDJSON]) {
    const [head, page] = await Promise.all(
      ["HEAD", "GET"].map((method) => get(service, "?after=0&limit=2", { method, headers })),
    ) as [Response, Response];
    equal(head.body, null);
    for (const name of ["Content-Type", "Vary", "Last-Event-ID", "Link", "Cache-Control"]) {
      equal(head.headers.get(name), page.headers.get(name), name);
    }
    ok(page.headers.get("Link"));
    await page.body!.cancel();
  }
  await assertIdle(service);
});

Deno.test("a page has only the channels of the token", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  for (const channel of ["a", "b", "c"]) {
    await service.hub.publish("p_a", [{ ...jsonEvent(channel), channel }]);
  }
  const headers = bearerHeader(await mint({ subscribe: ["p_a"], channels: ["a", "b"] }));
  const { events } = await (await get(service, "?after=0", { headers })).json();
  deepEqual(events.map(({ channel }: { channel: string }) => channel), ["a", "b"]);
  await assertProblem(await get(service, "?after=0&channel=c", { headers }), 403, "forbidden");
});

Deno.test("a page takes the place of a history until its connection is closed", async () => {
  await using service = await startService({
    settings: { RUNNEL_MAX_HISTORIES: "1", RUNNEL_MAX_ADDRESS_HISTORIES: "1" },
  });
  const closed = Promise.withResolvers<void>();
  const info = {
    remoteAddr: { transport: "tcp", hostname: "192.0.2.1", port: 1 },
    completed: closed.promise,
  } as const;
  const page = await service.fetch(request(`${EVENTS}?after=0`), info);
  equal(page.status, 200);
  await assertProblem(await service.fetch(request(EVENTS), info), 503, "overloaded");
  const refused = await service.fetch(request(EVENTS, { method: "HEAD" }), info);
  equal(refused.status, 503);
  closed.resolve();
  await flush();
  await page.body!.cancel();
  await assertIdle(service);
});

const SEAMS: [string, (service: TestService) => Promise<unknown>][] = [
  ["an unused pipeline", () => Promise.resolve()],
  ["three events", (service) => publishNumbers(service, 1, 3)],
  ["cleared events", async (service) => {
    await publishNumbers(service, 1, 3);
    await service.hub.clear("p_a");
  }],
  ["a deleted pipeline", async (service) => {
    await publishNumbers(service, 1, 3);
    await service.hub.delete("p_a");
  }],
];
const QUERIES = [
  "",
  "?history=0",
  "?history=all",
  "?after=0",
  "?channel=other",
  "?after=0&channel=x",
];

for (const [what, prepare] of SEAMS) {
  Deno.test(`a stream goes on where an answer ends, with ${what}`, async () => {
    for (const query of QUERIES) {
      for (const method of ["GET", "HEAD"]) {
        await using service = await startService();
        await prepare(service);
        const response = await get(service, query, { method });
        await response.body?.cancel();
        const id = response.headers.get("Last-Event-ID")!;
        await advanceUntil(service.clock, service.publish("p_a", "events", "new"), 10);
        const stream = await service.subscribe("p_a/sse", lastEventIdHeader(id));
        const events = (await stream.until("runnel.live")).map(describeEvent);
        deepEqual(events, ["new", liveMarker(1)], `${method} ${query}`);
        await stream.cancel();
      }
    }
  });
}

Deno.test("a stream that goes on where an answer ends is told the end of the run", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 2);
  await service.hub.publish("p_a", [], { end: true });
  for (const clears of [false, true]) {
    if (clears) await service.hub.clear("p_a");
    for (const query of QUERIES) {
      const response = await get(service, query);
      const { end, lastEventId } = await response.json();
      equal(end.events, 2);
      equal(response.headers.get("Last-Event-ID"), lastEventId);
      const stream = await service.subscribe("p_a/sse", lastEventIdHeader(lastEventId));
      const events = (await stream.until("runnel.end")).map(describeEvent);
      deepEqual(events, [liveMarker(0), ["runnel.end", { events: 2 }]], query);
      const [polled] = await Promise.all([get(service, `?after=${end.id}`)]);
      deepEqual(await polled.json(), { pipeline: "p_a", events: [], end, lastEventId: end.id });
    }
  }
});

Deno.test("a page of large events has 256 KiB at most, and a link", async () => {
  await using service = await startService();
  for (let i = 0; i < 9; i++) await service.publish("p_a", "events", "x".repeat(60_000));
  const sizes: number[] = [];
  let count = 0;
  for (let query: string | null = "?after=0"; query !== null;) {
    const response: Response = await get(service, query);
    query = nextOf(response);
    const text = await response.text();
    sizes.push(text.length);
    count += JSON.parse(text).events.length;
  }
  equal(count, 9);
  equal(sizes.length, numbers(1, 3).length);
  ok(Math.max(...sizes) <= 256 * 1024, `${sizes}`);
});
