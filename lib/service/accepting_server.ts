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
import type { KeyPair } from "./certificate.ts";
import { LAST_ANSWERS_MS, LEAVING_MS } from "./renewal_timetable.ts";
import { AcceptHealth } from "./accept_health.ts";
import { type RequestHandler, ServedRequests, type ServeHandler } from "./served_requests.ts";

/** Time for which requests that have no response yet delay the shutdown, in milliseconds. */
const ANSWERS_MS = 1000;

/** Pause before it listens again, in milliseconds. It doubles if accepting soon fails again. */
const MIN_PAUSE_MS = 10;

/** Maximum pause before it listens again, in milliseconds. */
const MAX_PAUSE_MS = 1000;

/** Time without an error after which the pause is the minimum again, in milliseconds. */
const STEADY_MS = 10_000;

/** Pause before a server with a new certificate is tried again, in milliseconds. */
const LISTEN_AGAIN_MS = 10_000;

/**
 * Maximum number of connections that wait to be accepted. The kernel lowers it to its own
 * limit, which is 4,096 on Linux.
 *
 * With the 511 of `Deno.serve`, 5,000 subscribers that come at once took 2.3 s instead of 1.0
 * (medians of 7): some 2,600 connections were dropped, and tried again after 1 s.
 */
const BACKLOG = 4096;

/** Part of a `Deno.HttpServer` that is used here. */
export type HttpServer = Pick<Deno.HttpServer<Deno.NetAddr>, "addr" | "finished" | "shutdown">;

/** Options for {@linkcode AcceptingServer}. */
export interface AcceptingServerOptions {
  /** Address to listen at, and whether it is shared. */
  address: { hostname: string; port: number; reusePort: boolean };
  /** Certificate for HTTPS; `null` for HTTP. @default {null} */
  pair?: KeyPair | null;
  /** Handler of requests. */
  handler: RequestHandler;
  /** Clock of the pauses, and reporter of errors. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Called with each error of accepting. @default {() => {}} */
  onFailure?: () => void;
  /** Starts a server. @default {Deno.serve} */
  serve?: (options: Deno.ServeTcpOptions, handler: ServeHandler) => HttpServer;
}

/** A server of the runtime, with the requests that have no response yet. */
interface Serving {
  readonly server: HttpServer;
  readonly requests: ServedRequests;
}

/** The server. It listens once it is constructed. */
export class AcceptingServer {
  readonly #options: Required<AcceptingServerOptions>;
  /** The servers of the runtime: the newest accepts, those before still have connections. */
  readonly #servers = new Set<HttpServer>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #address: Deno.NetAddr;
  #pair: KeyPair | null;
  /** The server that accepts; `null` after an error, until another one listens. */
  #accepting: Serving | null = null;
  #isClosed = false;
  #pauseMs = MIN_PAUSE_MS;
  #steady: Disposable | null = null;
  readonly #health: AcceptHealth;

  /** @throws The error of listening. */
  constructor(options: AcceptingServerOptions) {
    this.#options = { serve: Deno.serve, pair: null, onFailure() {}, ...options };
    this.#health = new AcceptHealth(options.runtime);
    this.#pair = this.#options.pair;
    this.#address = this.#listen(options.address.port);
  }

  /** Address at which it listens. */
  get address(): { hostname: string; port: number } {
    const { hostname, port } = this.#address;
    return { hostname, port };
  }

  /**
   * Uses another certificate for the connections from now on. Requests and streams in
   * progress end as they would have; idle connections are closed after a moment.
   *
   * `Deno.serve` cannot replace its certificate. So a second server listens at the same
   * address before the first one ends, for which the address must be one to share
   * (`reusePort`). A connection that the first one has, without a request so far, is reset.
   */
  async renew(pair: KeyPair): Promise<void> {
    this.#pair = pair;
    // After an error, the server that follows uses the new one.
    const former = this.#accepting;
    while (former && former === this.#accepting && pair === this.#pair && !this.#isClosed) {
      try {
        this.#listen(this.#address.port);
        return await this.#retire(former);
      } catch (error) {
        this.#options.runtime.report("Cannot use the new certificate yet", error);
        await this.#wait(LISTEN_AGAIN_MS);
      }
    }
  }

  /** Stops to accept connections, and resolves when all that are open have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closed.resolve();
    this.#steady?.[Symbol.dispose]();
    this.#health[Symbol.dispose]();
    await Promise.all([...this.#servers].map((server) => server.shutdown()));
  }

  #listen(port: number): Deno.NetAddr {
    const { address, handler, serve, runtime: { clock } } = this.#options;
    const requests = new ServedRequests(handler, () => this.#pauseMs > MIN_PAUSE_MS);
    const onError = (error: unknown) => this.#answerError(error);
    const server = serve(
      { ...address, ...this.#pair, port, tcpBacklog: BACKLOG, onListen() {}, onError },
      requests.handler,
    );
    const serving = { server, requests };
    this.#servers.add(server);
    this.#accepting = serving;
    this.#steady?.[Symbol.dispose]();
    this.#steady = clock.after(STEADY_MS, () => this.#pauseMs = MIN_PAUSE_MS);
    server.finished.catch((error) => this.#recover(serving, error));
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

  async #recover(serving: Serving, error: unknown): Promise<void> {
    const { server, requests } = serving;
    this.#countFailure(error);
    // Another one accepts since the certificate was renewed, and this one is being shut down.
    if (serving !== this.#accepting) return;
    this.#accepting = null;
    this.#steady?.[Symbol.dispose]();
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
        this.#countFailure(error);
      }
    }
  }

  async #retire({ server, requests }: Serving): Promise<void> {
    requests.leave();
    await this.#wait(LEAVING_MS);
    await this.#wait(LAST_ANSWERS_MS, requests.answered());
    requests.cutOff();
    this.#shutDown(server);
  }

  /** Closes the idle connections of a server. Those with a request end with its response. */
  #shutDown(server: HttpServer): void {
    const end = () => this.#servers.delete(server);
    server.shutdown().then(end, (error) => {
      end();
      this.#options.runtime.report("Cannot close connections", error);
    });
  }

  #countFailure(error: unknown): void {
    this.#options.onFailure();
    this.#health.failed(error);
  }

  /** Resolves after `ms` milliseconds, with `end`, or when this server is closed. */
  async #wait(ms: number, end?: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#options.runtime.clock.after(ms, resolve);
    await Promise.race([promise, this.#closed.promise, ...end ? [end] : []]);
  }
}
