/**
 * An HTTP server that goes on if it cannot accept a connection, for instance
 * because the process has too many open files.
 *
 * `Deno.serve` stops to accept connections at the first such error, and the
 * rejection of its `finished` ends the process. It still serves the connections
 * that it has. This server then shuts the failed one down, which closes each
 * connection without a request in progress and so frees descriptors, and listens
 * again at the same address.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";

/** Time for which requests that have no response yet delay the shutdown, in milliseconds. */
const ANSWERS_MS = 1000;

/** Pause before it listens again, in milliseconds. It doubles if accepting soon fails again. */
const MIN_PAUSE_MS = 10;

/** Maximum pause before it listens again, in milliseconds. */
const MAX_PAUSE_MS = 1000;

/** Time without an error after which the pause is the minimum again, in milliseconds. */
const STEADY_MS = 10_000;

/** Minimum time between two messages to the operator, in milliseconds. */
const QUIET_MS = 60_000;

/**
 * Maximum number of connections that wait to be accepted. The kernel lowers it to its own
 * limit, which is 4,096 on Linux.
 *
 * With the 511 of `Deno.serve`, 5,000 subscribers that come at once took 2.3 s instead of 1.0
 * (medians of 7): some 2,600 connections were dropped, and tried again after 1 s.
 */
const BACKLOG = 4096;

/** Handler of requests, as `Deno.serve` calls it. */
export type ServeHandler = (
  request: Request,
  info: Deno.ServeHandlerInfo<Deno.NetAddr>,
) => Response | Promise<Response>;

/** Facts about a request that it does not carry itself. */
export interface ServedRequest extends Deno.ServeHandlerInfo<Deno.NetAddr> {
  /** Aborted before the server shuts down, which cuts off the bodies that still arrive. */
  shutdown: AbortSignal;
}

/** Handler of requests. */
export type RequestHandler = (
  request: Request,
  info: ServedRequest,
) => Response | Promise<Response>;

/** Part of a `Deno.HttpServer` that is used here. */
export type HttpServer = Pick<Deno.HttpServer<Deno.NetAddr>, "addr" | "finished" | "shutdown">;

/** Options for {@linkcode AcceptingServer}. */
export interface AcceptingServerOptions {
  /** Address to listen at, and whether it is shared. */
  address: { hostname: string; port: number; reusePort: boolean };
  /** Handler of requests. */
  handler: RequestHandler;
  /** Clock of the pauses, and reporter of errors. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Starts a server. @default {Deno.serve} */
  serve?: (options: Deno.ServeTcpOptions, handler: ServeHandler) => HttpServer;
}

/** A server of the runtime, with the requests that have no response yet. */
interface Serving {
  readonly server: HttpServer;
  readonly requests: Requests;
}

/** The server. It listens once it is constructed. */
export class AcceptingServer {
  readonly #options: Required<AcceptingServerOptions>;
  /** The servers of the runtime: the newest accepts, those before still have connections. */
  readonly #servers = new Set<HttpServer>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #address: Deno.NetAddr;
  #isClosed = false;
  #pauseMs = MIN_PAUSE_MS;
  #steady: Disposable | null = null;
  #quiet: Disposable | null = null;

  /** @throws The error of listening. */
  constructor(options: AcceptingServerOptions) {
    this.#options = { serve: Deno.serve, ...options };
    this.#address = this.#listen(options.address.port);
  }

  /** Address at which it listens. */
  get address(): { hostname: string; port: number } {
    const { hostname, port } = this.#address;
    return { hostname, port };
  }

  /** Stops to accept connections, and resolves when all that are open have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closed.resolve();
    this.#steady?.[Symbol.dispose]();
    this.#quiet?.[Symbol.dispose]();
    await Promise.all([...this.#servers].map((server) => server.shutdown()));
  }

  #listen(port: number): Deno.NetAddr {
    const { address, handler, serve, runtime: { clock } } = this.#options;
    const requests = new Requests(handler);
    const onError = (error: unknown) => this.#answerError(error);
    const server = serve(
      { ...address, port, tcpBacklog: BACKLOG, onListen() {}, onError },
      requests.handler,
    );
    this.#servers.add(server);
    this.#steady = clock.after(STEADY_MS, () => this.#pauseMs = MIN_PAUSE_MS);
    server.finished.catch((error) => this.#recover({ server, requests }, error));
    return server.addr;
  }

  /**
   * Reports an error. The handler answers its own, so it is one of a body that was being
   * sent. The runtime would print it for each client that does not read.
   */
  #answerError(error: unknown): Response {
    const isOfClient = error instanceof RunnelError && error.type === "request-timeout";
    if (!isOfClient) this.#options.runtime.report("Cannot send a response", error);
    return new Response(null, { status: 500 });
  }

  async #recover({ server, requests }: Serving, error: unknown): Promise<void> {
    this.#steady?.[Symbol.dispose]();
    this.#reportOnce(error);
    await this.#wait(ANSWERS_MS, requests.answered());
    requests.cutOff();
    this.#shutDown(server);
    for (;;) {
      await this.#wait(this.#pauseMs);
      if (this.#isClosed) return;
      this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS);
      try {
        this.#listen(this.#address.port);
        return;
      } catch (error) {
        this.#reportOnce(error);
      }
    }
  }

  /** Closes the idle connections of a server. Those with a request end with its response. */
  #shutDown(server: HttpServer): void {
    const end = () => this.#servers.delete(server);
    server.shutdown().then(end, (error) => {
      end();
      this.#options.runtime.report("Cannot close connections", error);
    });
  }

  #reportOnce(error: unknown): void {
    if (this.#quiet || this.#isClosed) return;
    const { report, clock } = this.#options.runtime;
    this.#quiet = clock.after(QUIET_MS, () => this.#quiet = null);
    report(
      "Cannot accept connections for a moment. Those without a request are closed, others go on. " +
        "If this repeats, allow the process more open files, or let a proxy limit connections",
      error,
    );
  }

  /** Resolves after `ms` milliseconds, with `end`, or when this server is closed. */
  async #wait(ms: number, end?: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#options.runtime.clock.after(ms, resolve);
    await Promise.race([promise, this.#closed.promise, ...end ? [end] : []]);
  }
}

/** A request in progress. It reads the facts of the runtime only when they are asked for. */
class Served implements ServedRequest {
  readonly shutdown: AbortSignal;
  readonly #info: Deno.ServeHandlerInfo<Deno.NetAddr>;

  constructor(info: Deno.ServeHandlerInfo<Deno.NetAddr>, shutdown: AbortSignal) {
    this.#info = info;
    this.shutdown = shutdown;
  }

  get remoteAddr(): Deno.NetAddr {
    return this.#info.remoteAddr;
  }

  get completed(): Promise<void> {
    return this.#info.completed;
  }
}

/** Counts the requests that have no response yet. */
class Requests {
  /** Handler that counts its requests. */
  readonly handler: ServeHandler;
  readonly #shutdown = new AbortController();
  #open = 0;
  #onAnswered = () => {};

  constructor(handler: RequestHandler) {
    const { signal: shutdown } = this.#shutdown;
    this.handler = async (request, info) => {
      this.#open++;
      try {
        return await handler(request, new Served(info, shutdown));
      } finally {
        if (--this.#open === 0) this.#onAnswered();
      }
    };
  }

  /** Tells the handlers that their bodies are cut off. */
  cutOff(): void {
    this.#shutdown.abort();
  }

  /** Resolves once no request is without a response. */
  answered(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onAnswered = resolve;
    if (this.#open === 0) resolve();
    return promise;
  }
}
