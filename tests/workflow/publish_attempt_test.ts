import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import {
  type Fetch,
  type Outcome,
  type Refused,
  tryToPublish,
} from "../../lib/workflow/publish_attempt.ts";
import { toBatches } from "../../lib/workflow/publish_body.ts";
import { readRaw, serveLocally } from "../support/local_server.ts";

const NOW = Date.UTC(2026, 0, 1);
const INGEST = new URL("http://localhost:8000/ingest");
const [batch] = toBatches("p_a", [
  { channel: "names", payload: '"Luke"' },
  { channel: "names", payload: '"Han"' },
]);
const request = { ...batch!, idempotencyKey: "key-1" };

function attempt(fetch: Fetch, options: { token?: string; maxMs?: number; url?: URL } = {}) {
  const { url = INGEST, maxMs = 1000, token } = options;
  return tryToPublish(url, request, { token, maxMs, fetch, now: () => NOW });
}

function answer(status: number, body: BodyInit | null = null, headers: HeadersInit = {}) {
  return attempt(() => Promise.resolve(new Response(body, { status, headers })));
}

function refused(outcome: Outcome): Refused {
  ok(!("ids" in outcome));
  return outcome;
}

Deno.test("tryToPublish() posts JSON with its key, and with the token as a bearer's", async () => {
  const sent: { url: string; method: string | undefined; headers: object; body: unknown }[] = [];
  const note: Fetch = (url, { method, headers, body }) => {
    sent.push({
      url: url.href,
      method,
      headers: Object.fromEntries(new Headers(headers)),
      body: JSON.parse(String(body)),
    });
    return Promise.resolve(
      Response.json({ events: [{ id: "E-1" }, { id: "E-2" }] }, { status: 202 }),
    );
  };
  deepEqual(await attempt(note, { token: "t-1" }), { ids: ["E-1", "E-2"] });
  deepEqual(sent, [{
    url: "http://localhost:8000/ingest",
    method: "POST",
    headers: {
      "content-type": "application/json",
      "idempotency-key": "key-1",
      authorization: "Bearer t-1",
    },
    body: [
      { pipeline: "p_a", channel: "names", payload: "Luke" },
      { pipeline: "p_a", channel: "names", payload: "Han" },
    ],
  }]);
});

Deno.test("tryToPublish() without a token sends none", async () => {
  let authorization: string | null = "";
  await attempt((_, { headers }) => {
    authorization = new Headers(headers).get("Authorization");
    return Promise.reject(new TypeError());
  }, { token: "" });
  equal(authorization, null);
});

for (const status of [429, 502, 503, 504]) {
  Deno.test(`tryToPublish() takes ${status} as passing`, async () => {
    deepEqual(await answer(status), {
      status,
      reason: `http://localhost:8000/ingest answered ${status}`,
      isPassing: true,
      afterMs: 0,
    });
  });
}

for (const status of [200, 204, 400, 401, 403, 404, 405, 413, 415, 422, 500, 501]) {
  Deno.test(`tryToPublish() takes ${status} as a refusal for good`, async () => {
    const outcome = refused(await answer(status));
    deepEqual([outcome.status, outcome.isPassing], [status, false]);
  });
}

Deno.test("tryToPublish() gives the detail of a problem document as the reason", async () => {
  const problem = JSON.stringify({ title: "Invalid event", detail: "event 1: payload: too deep" });
  const { reason } = refused(await answer(422, problem));
  equal(reason, "http://localhost:8000/ingest answered 422: event 1: payload: too deep");
});

for (const body of ["<h1>Bad Gateway</h1>", "", "null", "7", "[]", '{"detail":{}}']) {
  Deno.test(`tryToPublish() gives the status where the answer is ${body || "empty"}`, async () => {
    equal(refused(await answer(502, body)).reason, "http://localhost:8000/ingest answered 502");
  });
}

const delays: [value: string, afterMs: number][] = [
  ["0", 0],
  ["1", 1000],
  ["120", 120_000],
  [new Date(NOW + 90_000).toUTCString(), 90_000],
  [new Date(NOW - 90_000).toUTCString(), 0],
  ["-5", 0],
  ["1.5", 0],
  ["soon", 0],
  ["", 0],
  ["99999999999999999999999", 99999999999999999999999 * 1000],
];

for (const [value, afterMs] of delays) {
  Deno.test(`tryToPublish() reads Retry-After: ${value} as ${afterMs} ms`, async () => {
    equal(refused(await answer(503, null, { "Retry-After": value })).afterMs, afterMs);
  });
}

Deno.test("tryToPublish() takes a network error as passing, and gives it as the cause", async () => {
  const cause = new TypeError("connection refused");
  deepEqual(await attempt(() => Promise.reject(cause)), {
    status: null,
    reason: "http://localhost:8000/ingest did not answer",
    isPassing: true,
    afterMs: 0,
    cause,
  });
});

Deno.test("tryToPublish() does not throw where fetch does", async () => {
  const outcome = await attempt(() => {
    throw new TypeError("no");
  });
  equal(refused(outcome).isPassing, true);
});

const halves = [
  "",
  '{"events":[{"id":"E-1"},{"i',
  '{"events":[{"id":"E-1"}]}',
  '{"events":[{"id":"E-1"},{}]}',
  "{}",
  "null",
  "ok",
];

for (const body of halves) {
  Deno.test(`tryToPublish() takes 202 with ${body || "nothing"} as not yet answered`, async () => {
    const { status, reason, isPassing } = refused(await answer(202, body));
    deepEqual({ status, reason, isPassing }, {
      status: 202,
      reason: "http://localhost:8000/ingest answered 202, but not all of it came",
      isPassing: true,
    });
  });
}

/** A body that breaks off. */
function broken(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      controller.error(new TypeError("connection reset"));
    },
  });
}

for (const [status, isPassing] of [[202, true], [503, true], [413, false]] as const) {
  Deno.test(`tryToPublish() takes ${status} that breaks off as ${isPassing ? "" : "not "}passing`, async () => {
    const outcome = refused(await answer(status, broken()));
    deepEqual([outcome.status, outcome.isPassing], [status, isPassing]);
  });
}

// Over the wire

/** Answers each connection with bytes, and leaves it open or ends it. */
function answerRaw(text: string, end: boolean): { url: URL } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.TcpConn[] = [];
  const work = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      await readRaw(connection, (text) => text.endsWith("]"));
      await connection.write(new TextEncoder().encode(text));
      if (end) connection.close();
    }
  })();
  return {
    url: new URL(`http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/ingest`),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of end ? [] : connections) connection.close();
      await work.catch(() => {});
    },
  };
}

const HEAD = "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n";

Deno.test("tryToPublish() takes a connection that ends within the 202 as passing", async () => {
  await using server = answerRaw(`${HEAD}{"events":[`, true);
  const outcome = refused(await attempt(fetch, { url: server.url }));
  deepEqual([outcome.status, outcome.isPassing], [202, true]);
});

Deno.test("tryToPublish() takes a connection that ends before the answer as passing", async () => {
  await using server = answerRaw("", true);
  const outcome = refused(await attempt(fetch, { url: server.url }));
  deepEqual([outcome.status, outcome.isPassing], [null, true]);
});

for (const [what, text, status] of [["an answer", "", null], ["its end", HEAD, 202]] as const) {
  Deno.test(`tryToPublish() gives up waiting for ${what}`, async () => {
    await using server = answerRaw(text, false);
    const outcome = refused(await attempt(fetch, { url: server.url, maxMs: 50 }));
    deepEqual([outcome.status, outcome.isPassing], [status, true]);
    match(String(outcome.cause), /It took longer than 50 ms/);
  });
}

Deno.test("tryToPublish() gives up a fetch that does not heed its signal", async () => {
  const outcome = await attempt(() => new Promise(() => {}), { maxMs: 0.5 });
  equal(refused(outcome).isPassing, true);
});

Deno.test("tryToPublish() says where it was led to", async () => {
  await using server = serveLocally((request) =>
    Promise.resolve(
      request.url.endsWith("/ingest")
        ? Response.redirect(new URL("/elsewhere", request.url), 301)
        : new Response(null, { status: request.method === "POST" ? 202 : 405 }),
    )
  );
  const url = new URL(`${server.url}/ingest`);
  const { reason, isPassing } = refused(await attempt(fetch, { url }));
  equal(reason, `${server.url}/elsewhere, where ${url} leads, answered 405`);
  equal(isPassing, false);
});
