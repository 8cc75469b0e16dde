import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { AcceptingServer, type HttpServer } from "../../lib/service/accepting_server.ts";
import type { RequestHandler, ServeHandler } from "../../lib/service/served_requests.ts";
import type { KeyPair } from "../../lib/service/certificate.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

const PORT = 1234;

/** A server of the runtime that a test makes fail. */
class FakeServer implements HttpServer {
  readonly addr: Deno.NetAddr;
  readonly handler: ServeHandler;
  readonly finished: Promise<void>;
  readonly fail: (error: Error) => void;
  /** Ends its connections, after a shutdown. */
  readonly end: () => void;
  readonly backlog: number | undefined;
  readonly pair: Partial<KeyPair>;
  isShutDown = false;
  readonly #ended = Promise.withResolvers<void>();

  constructor(
    { hostname = "", port = 0, tcpBacklog, ...rest }: Deno.ServeTcpOptions & Partial<KeyPair>,
    handler: ServeHandler,
  ) {
    this.backlog = tcpBacklog;
    this.pair = { ...rest.cert && { cert: rest.cert }, ...rest.key && { key: rest.key } };
    this.addr = { transport: "tcp", hostname, port: port === 0 ? PORT : port };
    this.handler = handler;
    const { promise, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.fail = reject;
    this.end = this.#ended.resolve;
  }

  shutdown(): Promise<void> {
    this.isShutDown = true;
    return this.#ended.promise;
  }
}

/** A server on fake servers of the runtime. `listenErrors` are thrown by the next ones to start. */
function start(
  handler: RequestHandler = () => new Response(),
  pair: KeyPair | null = null,
) {
  const clock = new FakeClock();
  const servers: FakeServer[] = [];
  const lines: string[] = [];
  const fields: unknown[] = [];
  let failed = 0;
  const listenErrors: Error[] = [];
  const server = new AcceptingServer({
    address: { hostname: "127.0.0.1", port: 0, reusePort: false },
    pair,
    handler,
    runtime: {
      clock,
      report(line, _cause, options) {
        lines.push(line);
        if (options?.fields) fields.push(options.fields);
      },
    },
    onFailure: () => failed++,
    serve(options, handler) {
      const error = listenErrors.shift();
      if (error) throw error;
      const started = new FakeServer(options, handler);
      servers.push(started);
      return started;
    },
  });
  const advance = async (ms: number) => {
    clock.advance(ms);
    await flush();
  };
  /** Lets the newest one fail. */
  const fail = async () => {
    servers.at(-1)!.fail(new Error("Too many open files"));
    await flush();
  };
  const failures = () => failed;
  return { server, servers, clock, lines, fields, failures, listenErrors, advance, fail };
}

function request(server: FakeServer): Promise<Response> {
  const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 1 };
  const completed = Promise.resolve();
  return Promise.resolve(server.handler(new Request("http://a"), { remoteAddr, completed }));
}

async function close({ server, servers, clock }: ReturnType<typeof start>): Promise<void> {
  const closing = server.close();
  for (const { end } of servers) end();
  await closing;
  await flush();
  equal(clock.liveTimers, 0);
}

Deno.test("AcceptingServer lets thousands of connections wait to be accepted", async () => {
  const test = start();
  equal(test.servers[0]!.backlog, 4096);
  await close(test);
});

Deno.test("AcceptingServer closes idle connections and listens again after an error", async () => {
  const test = start();
  const { server, servers, advance, fail } = test;
  await fail();
  equal(servers[0]!.isShutDown, true);
  equal(servers.length, 1);
  await advance(10);
  deepEqual(servers.map(({ addr }) => addr.port), [PORT, PORT]);
  equal(servers[1]!.isShutDown, false);
  deepEqual(server.address, { hostname: "127.0.0.1", port: PORT });
  await close(test);
});

Deno.test("AcceptingServer lets requests get their responses before a shutdown, for 1 s", async () => {
  const response = Promise.withResolvers<Response>();
  const test = start(() => response.promise);
  const { servers, advance, fail } = test;
  const first = request(servers[0]!);
  await fail();
  await advance(999);
  equal(servers[0]!.isShutDown, false);
  await advance(1);
  equal(servers[0]!.isShutDown, true);
  await advance(10);
  const second = request(servers[1]!);
  await fail();
  equal(servers[1]!.isShutDown, false);
  response.resolve(new Response());
  await Promise.all([first, second]);
  await flush();
  equal(servers[1]!.isShutDown, true);
  await close(test);
});

Deno.test("AcceptingServer tells handlers of a shutdown, of their own server alone", async () => {
  const signals: AbortSignal[] = [];
  const test = start((_, { shutdown, remoteAddr }) => {
    equal(remoteAddr.port, 1);
    signals.push(shutdown);
    return new Promise(() => {});
  });
  const { servers, advance, fail } = test;
  request(servers[0]!);
  await fail();
  await advance(999);
  equal(signals[0]!.aborted, false);
  await advance(1);
  await advance(10);
  request(servers[1]!);
  deepEqual(signals.map(({ aborted }) => aborted), [true, false]);
  await close(test);
});

Deno.test("AcceptingServer pauses for longer while errors repeat, up to 1 s", async () => {
  const test = start();
  const { servers, advance, fail } = test;
  for (const ms of [10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
    await fail();
    const { length } = servers;
    await advance(ms - 1);
    equal(servers.length, length);
    await advance(1);
    equal(servers.length, length + 1);
  }
  await advance(10_000);
  await fail();
  await advance(10);
  equal(servers.length, 11);
  await close(test);
});

Deno.test("AcceptingServer tries again if it cannot listen", async () => {
  const test = start();
  const { servers, advance, fail, listenErrors } = test;
  listenErrors.push(new Error("Too many open files"), new Error("Address in use"));
  await fail();
  await advance(10);
  await advance(20);
  equal(servers.length, 1);
  await advance(40);
  equal(servers.length, 2);
  await close(test);
});

Deno.test("AcceptingServer reports errors of accepting once in a minute, and then their end", async () => {
  const test = start();
  const { lines, fields, failures, advance, fail } = test;
  for (let i = 0; i < 65; i++) {
    await fail();
    await advance(1000);
  }
  equal(failures(), 65);
  equal(lines.length, 2);
  equal(lines[0], lines[1]);
  await advance(54_000);
  equal(lines.length, 2);
  await advance(1000);
  deepEqual(lines.slice(2), ["Accepts all connections again"]);
  deepEqual(fields, [{ seconds: 64, errors: 65 }]);
  await fail();
  equal(lines.length, 4);
  await close(test);
});

Deno.test("AcceptingServer reports the end of a single error a minute later", async () => {
  const test = start();
  const { lines, fields, advance, fail } = test;
  await fail();
  await advance(59_999);
  equal(lines.length, 1);
  await advance(1);
  deepEqual([lines.length, fields], [2, [{ seconds: 0, errors: 1 }]]);
  await close(test);
});

Deno.test("AcceptingServer.close() awaits the connections of failed servers, and listens no more", async () => {
  const test = start();
  const { server, servers, clock, advance, fail } = test;
  await fail();
  await advance(10);
  await fail();
  let hasClosed = false;
  const closing = server.close().then(() => hasClosed = true);
  servers[1]!.end();
  await advance(1000);
  equal(hasClosed, false);
  equal(servers.length, 2);
  servers[0]!.end();
  await closing;
  equal(clock.liveTimers, 0);
});

for (
  const [what, error, expected] of [
    ["an error of its own", new Error("no"), ["Cannot send a response"]],
    ["a client that does not read", new RunnelError("request-timeout", "Too slow"), []],
  ] as const
) {
  Deno.test(`AcceptingServer reports a body that ends with ${what} ${expected.length} times`, async () => {
    const lines: string[] = [];
    const server = new AcceptingServer({
      address: { hostname: "127.0.0.1", port: 0, reusePort: false },
      handler: () =>
        new Response(
          new ReadableStream({ pull: (controller) => controller.error(error) }, {
            highWaterMark: 0,
          }),
        ),
      runtime: { clock: new FakeClock(), report: (line) => lines.push(line) },
    });
    await rejects(async () => {
      const response = await fetch(`http://127.0.0.1:${server.address.port}/`);
      await response.text();
    }, TypeError);
    await server.close();
    deepEqual(lines, expected);
  });
}

const FIRST: KeyPair = { cert: "cert 1", key: "key 1" };
const SECOND: KeyPair = { cert: "cert 2", key: "key 2" };

Deno.test("AcceptingServer.renew() listens with the new certificate before the old one ends", async () => {
  const test = start(undefined, FIRST);
  const { server, servers, advance } = test;
  deepEqual((await request(servers[0]!)).headers.get("Connection"), null);
  const renewed = server.renew(SECOND);
  deepEqual(servers.map(({ pair, addr }) => [pair, addr.port]), [[FIRST, PORT], [SECOND, PORT]]);
  await advance(999);
  equal(servers[0]!.isShutDown, false);
  equal((await request(servers[0]!)).headers.get("Connection"), "close");
  equal((await request(servers[1]!)).headers.get("Connection"), null);
  await advance(1);
  await renewed;
  deepEqual(servers.map(({ isShutDown }) => isShutDown), [true, false]);
  await close(test);
});

Deno.test("AcceptingServer.renew() lets requests get their responses, for 15 s, and then cuts bodies off", async () => {
  const response = Promise.withResolvers<Response>();
  let isCutOff = false;
  const test = start((_, { shutdown }) => {
    shutdown.addEventListener("abort", () => isCutOff = true);
    return response.promise;
  }, FIRST);
  const { server, servers, advance } = test;
  const first = request(servers[0]!);
  server.renew(SECOND);
  await advance(1000);
  await advance(14_999);
  deepEqual([servers[0]!.isShutDown, isCutOff], [false, false]);
  await advance(1);
  deepEqual([servers[0]!.isShutDown, isCutOff], [true, true]);
  response.resolve(new Response());
  await first;
  await close(test);
});

Deno.test("AcceptingServer.renew() is tried again if it cannot listen", async () => {
  const test = start(undefined, FIRST);
  const { server, servers, listenErrors, lines, advance } = test;
  listenErrors.push(new Error("Too many open files"));
  server.renew(SECOND);
  deepEqual([servers.length, lines], [1, ["Cannot use the new certificate yet"]]);
  equal(servers[0]!.isShutDown, false);
  await advance(10_000);
  deepEqual(servers.map(({ pair }) => pair), [FIRST, SECOND]);
  await advance(1000);
  equal(servers[0]!.isShutDown, true);
  await close(test);
});

Deno.test("AcceptingServer listens again with the certificate that was renewed after an error", async () => {
  const test = start(undefined, FIRST);
  const { server, servers, advance, fail } = test;
  await fail();
  server.renew(SECOND);
  equal(servers.length, 1);
  await advance(10);
  deepEqual(servers.map(({ pair }) => pair), [FIRST, SECOND]);
  await close(test);
});

Deno.test("AcceptingServer listens once if the server before the renewal fails", async () => {
  const test = start(undefined, FIRST);
  const { server, servers, advance } = test;
  server.renew(SECOND);
  servers[0]!.fail(new Error("Too many open files"));
  await flush();
  await advance(1000);
  await advance(1000);
  deepEqual(servers.map(({ pair, isShutDown }) => [pair, isShutDown]), [
    [FIRST, true],
    [SECOND, false],
  ]);
  await close(test);
});
