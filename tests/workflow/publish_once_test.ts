import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import {
  type Accepted,
  type FailedAttempt,
  type Fetch,
  publishOnce,
} from "../../lib/workflow/publish_once.ts";
import { toRequests } from "../../lib/workflow/publish_request.ts";
import { readRaw, serveLocally } from "../support/servers/local_server.ts";

const NOW = Date.UTC(2026, 0, 1);
const INGEST = new URL("http://localhost:8000/ingest");
const [twoEvents] = toRequests("p_a", [
  { channel: "names", payload: '"Luke"' },
  { channel: "names", payload: '"Han"' },
]);
const request = { ...twoEvents!, idempotencyKey: "key-1" };

function attempt(fetch: Fetch, options: { token?: string; maxMs?: number; url?: URL } = {}) {
  const { url = INGEST, maxMs = 1000, token } = options;
  return publishOnce(url, request, { token, maxMs, fetch, now: () => NOW });
}

function answer(status: number, body: BodyInit | null = null, headers: HeadersInit = {}) {
  return attempt(() => Promise.resolve(new Response(body, { status, headers })));
}

function failed(outcome: Accepted | FailedAttempt): FailedAttempt {
  ok(!("ids" in outcome));
  return outcome;
}

Deno.test("publishOnce() posts JSON with its idempotency key and a bearer token", async () => {
  const sent: { url: string; method: string | undefined; headers: object; body: unknown }[] = [];
  const record: Fetch = (url, { method, headers, body }) => {
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
  deepEqual(await attempt(record, { token: "t-1" }), { ids: ["E-1", "E-2"] });
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

Deno.test("publishOnce() sends no authorization without a token", async () => {
  let authorization: string | null = "";
  await attempt((_, { headers }) => {
    authorization = new Headers(headers).get("Authorization");
    return Promise.reject(new TypeError());
  }, { token: "" });
  equal(authorization, null);
});

for (const status of [429, 502, 503, 504]) {
  Deno.test(`publishOnce() reports ${status} as transient`, async () => {
    deepEqual(await answer(status), {
      status,
      reason: `http://localhost:8000/ingest answered ${status}`,
      isTransient: true,
      retryAfterMs: 0,
    });
  });
}

for (const status of [200, 204, 400, 401, 403, 404, 405, 413, 415, 422, 500, 501]) {
  Deno.test(`publishOnce() reports ${status} as permanent`, async () => {
    const outcome = failed(await answer(status));
    deepEqual([outcome.status, outcome.isTransient], [status, false]);
  });
}

Deno.test("publishOnce() adds the detail of a problem document to the reason", async () => {
  const problem = JSON.stringify({ title: "Invalid event", detail: "event 1: payload: too deep" });
  const { reason } = failed(await answer(422, problem));
  equal(reason, "http://localhost:8000/ingest answered 422: event 1: payload: too deep");
});

for (const body of ["<h1>Bad Gateway</h1>", "", "null", "7", "[]", '{"detail":{}}']) {
  Deno.test(`publishOnce() gives only the status when the answer is ${body || "empty"}`, async () => {
    equal(failed(await answer(502, body)).reason, "http://localhost:8000/ingest answered 502");
  });
}

const delays: [value: string, retryAfterMs: number][] = [
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

for (const [value, retryAfterMs] of delays) {
  Deno.test(`publishOnce() reads Retry-After: ${value}`, async () => {
    equal(failed(await answer(503, null, { "Retry-After": value })).retryAfterMs, retryAfterMs);
  });
}

Deno.test("publishOnce() reports a network error as transient, with its cause", async () => {
  const cause = new TypeError("connection refused");
  deepEqual(await attempt(() => Promise.reject(cause)), {
    status: null,
    reason: "http://localhost:8000/ingest did not answer",
    isTransient: true,
    retryAfterMs: 0,
    cause,
  });
});

Deno.test("publishOnce() does not throw when fetch does", async () => {
  const outcome = await attempt(() => {
    throw new TypeError("no");
  });
  equal(failed(outcome).isTransient, true);
});

const incomplete = [
  "",
  '{"events":[{"id":"E-1"},{"i',
  '{"events":[{"id":"E-1"}]}',
  '{"events":[{"id":"E-1"},{}]}',
  "{}",
  "null",
  "ok",
];

for (const body of incomplete) {
  Deno.test(`publishOnce() reports 202 with ${body || "no body"} as incomplete`, async () => {
    const { status, reason, isTransient } = failed(await answer(202, body));
    deepEqual({ status, reason, isTransient }, {
      status: 202,
      reason: "http://localhost:8000/ingest answered 202, but the answer is incomplete",
      isTransient: true,
    });
  });
}

/** Body that breaks off. */
function broken(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      controller.error(new TypeError("connection reset"));
    },
  });
}

for (const [status, isTransient] of [[202, true], [503, true], [413, false]] as const) {
  Deno.test(`publishOnce() reports ${status} that breaks off as ${isTransient ? "transient" : "permanent"}`, async () => {
    const outcome = failed(await answer(status, broken()));
    deepEqual([outcome.status, outcome.isTransient], [status, isTransient]);
  });
}

// Over the wire

/** Server that answers each connection with bytes, and then closes it or leaves it open. */
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

Deno.test("publishOnce() reports a connection that ends within the 202 as transient", async () => {
  await using server = answerRaw(`${HEAD}{"events":[`, true);
  const outcome = failed(await attempt(fetch, { url: server.url }));
  deepEqual([outcome.status, outcome.isTransient], [202, true]);
});

Deno.test("publishOnce() reports a connection that ends before the answer as transient", async () => {
  await using server = answerRaw("", true);
  const outcome = failed(await attempt(fetch, { url: server.url }));
  deepEqual([outcome.status, outcome.isTransient], [null, true]);
});

for (const [what, text, status] of [["an answer", "", null], ["its end", HEAD, 202]] as const) {
  Deno.test(`publishOnce() stops waiting for ${what} when its time is up`, async () => {
    await using server = answerRaw(text, false);
    const outcome = failed(await attempt(fetch, { url: server.url, maxMs: 50 }));
    deepEqual([outcome.status, outcome.isTransient], [status, true]);
    match(String(outcome.cause), /It took longer than 50 ms/);
  });
}

Deno.test("publishOnce() stops waiting for a fetch that ignores its signal", async () => {
  const outcome = await attempt(() => new Promise(() => {}), { maxMs: 0.5 });
  equal(failed(outcome).isTransient, true);
});

for (const status of [301, 302, 303, 307, 308]) {
  Deno.test(`publishOnce() does not follow ${status}, and reports it as permanent`, async () => {
    const paths: string[] = [];
    await using server = serveLocally(({ url }) => {
      paths.push(new URL(url).pathname);
      return Promise.resolve(new Response("moved", { status, headers: { Location: "/other" } }));
    });
    const url = new URL(`${server.url}/ingest`);
    deepEqual(failed(await attempt(fetch, { url, token: "t-1" })), {
      status,
      reason: `${url} answered with a redirect to /other, which is not followed. ` +
        "Set the URL of the service itself",
      isTransient: false,
      retryAfterMs: 0,
    });
    deepEqual(paths, ["/ingest"]);
  });
}

Deno.test("publishOnce() reports a redirect that a browser hides as permanent", async () => {
  const hidden = { type: "opaqueredirect", status: 0, headers: new Headers(), body: null };
  const { status, reason, isTransient } = failed(
    await attempt(() => Promise.resolve(hidden as Response)),
  );
  deepEqual([status, isTransient], [null, false]);
  match(reason, /^http:\/\/localhost:8000\/ingest answered with a redirect, which is not followed/);
});

Deno.test("publishOnce() escapes control characters of the answer, and shortens it", async () => {
  const detail = "\u001b]0;owned\u0007\r\n\u009b2J\u2028";
  const escaped = "\\u001b]0;owned\\u0007\\u000d\\u000a\\u009b2J\\u2028";
  const { reason } = failed(await answer(422, JSON.stringify({ detail })));
  equal(reason, `http://localhost:8000/ingest answered 422: ${escaped}`);
  const long = failed(await answer(422, JSON.stringify({ detail: "x".repeat(100_000) })));
  equal(long.reason, `http://localhost:8000/ingest answered 422: ${"x".repeat(1000)}…`);
  const hop = failed(await answer(307, null, { Location: "http://a/\u009b2J" }));
  match(hop.reason, /redirect to http:\/\/a\/\\u009b2J, which/);
});

for (const id of ["E\u001b[2J", "E 1", "", "E".repeat(65)]) {
  Deno.test(`publishOnce() refuses the event ID ${JSON.stringify(id).slice(0, 20)}`, async () => {
    const body = JSON.stringify({ events: [{ id: "E-1" }, { id }] });
    match(failed(await answer(202, body)).reason, /answered 202, but the answer is incomplete$/);
  });
}
