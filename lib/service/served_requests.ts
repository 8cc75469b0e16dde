/**
 * The requests that one server of the runtime has in progress.
 *
 * @module
 */

/** Handler of requests, as `Deno.serve` calls it. */
export type ServeHandler = (
  request: Request,
  info: Deno.ServeHandlerInfo<Deno.NetAddr>,
) => Response | Promise<Response>;

/** Facts about a request that it does not carry itself. */
export interface ServedRequest extends Deno.ServeHandlerInfo<Deno.NetAddr> {
  /** Aborted before the server shuts down, which cuts off the bodies that still arrive. */
  shutdown: AbortSignal;
  /** Whether a connection could not be accepted in the last seconds. */
  lacksFiles: boolean;
}

/** Handler of requests. */
export type RequestHandler = (
  request: Request,
  info: ServedRequest,
) => Response | Promise<Response>;

/** A request in progress. It reads the facts of the runtime only when they are asked for. */
class Served implements ServedRequest {
  readonly shutdown: AbortSignal;
  readonly #info: Deno.ServeHandlerInfo<Deno.NetAddr>;
  readonly #lacksFiles: () => boolean;

  constructor(
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
    shutdown: AbortSignal,
    lacksFiles: () => boolean,
  ) {
    this.shutdown = shutdown;
    this.#info = info;
    this.#lacksFiles = lacksFiles;
  }

  get lacksFiles(): boolean {
    return this.#lacksFiles();
  }

  get remoteAddr(): Deno.NetAddr {
    return this.#info.remoteAddr;
  }

  get completed(): Promise<void> {
    return this.#info.completed;
  }
}

/** Counts the requests that have no response yet. */
export class ServedRequests {
  /** Handler that counts its requests. */
  readonly handler: ServeHandler;
  readonly #shutdown = new AbortController();
  #open = 0;
  #isLeft = false;
  #onAnswered = () => {};

  constructor(handler: RequestHandler, lacksFiles: () => boolean) {
    const { signal: shutdown } = this.#shutdown;
    this.handler = async (request, info) => {
      this.#open++;
      try {
        const response = await handler(request, new Served(info, shutdown, lacksFiles));
        // Over HTTP/2 the runtime leaves it out, and says so by GOAWAY.
        if (this.#isLeft) response.headers.set("Connection", "close");
        return response;
      } finally {
        if (--this.#open === 0) this.#onAnswered();
      }
    };
  }

  /** Tells clients to leave their connections, with the responses from now on. */
  leave(): void {
    this.#isLeft = true;
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
