/**
 * A TCP proxy that simulates the network between a program and the KV server.
 *
 * @module
 */

import { CommitAnswers } from "./commit_answers.ts";

const HOSTNAME = "127.0.0.1";

/** A TCP proxy that a test can pause, or make cut connections at the worst moment. */
export class TcpProxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
  readonly #port: number;
  readonly #ends = new Set<Disposable>();
  readonly #links = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  /** Pending while nothing is forwarded. */
  #gate = Promise.withResolvers<void>();
  /** Number of responses to commits that are still to be cut off. */
  #toCut = 0;
  /** Number of bytes forwarded, in both directions. */
  readonly forwarded = { up: 0, down: 0 };
  /** Number of connections that it cut. */
  cuts = 0;

  /** @param url Address of the server, on this machine. */
  constructor(url: string) {
    this.#port = Number(new URL(url).port);
    this.#gate.resolve();
    this.#accepting = this.#accept();
  }

  /** Address of the proxy, to use instead of the server's. */
  get url(): string {
    return `http://${HOSTNAME}:${this.#listener.addr.port}`;
  }

  /** Stops forwarding. Connections stay open, and new ones are accepted. */
  stop(): void {
    this.#gate = Promise.withResolvers();
  }

  /** Forwards the held bytes, and continues. */
  goOn(): void {
    this.#gate.resolve();
  }

  /** Cuts each connection on which a commit was made and its response is in flight. */
  cutCommits(times: number = Infinity): void {
    this.#toCut = times;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const link = this.#link(client);
      this.#links.add(link);
      link.finally(() => this.#links.delete(link));
    }
  }

  async #link(client: Deno.TcpConn): Promise<void> {
    using ends = new DisposableStack();
    ends.use(client);
    this.#ends.add(ends);
    ends.defer(() => this.#ends.delete(ends));
    await this.#gate.promise;
    const server = await Deno.connect({ hostname: HOSTNAME, port: this.#port }).catch(() => null);
    if (!server) return;
    // The connection may have been closed meanwhile.
    if (ends.disposed) return server.close();
    ends.use(server);
    const answers = new CommitAnswers();
    const up = this.#forward(client, server, "up", (bytes) => answers.sent(bytes));
    const down = this.#forward(server, client, "down", (bytes) => {
      if (!answers.received(bytes) || this.#toCut === 0) return;
      this.#toCut--;
      this.cuts++;
      ends.dispose();
    });
    await Promise.race([up, down]);
    ends.dispose();
    await Promise.all([up, down]);
  }

  /** Forwards one direction until it ends or fails. */
  async #forward(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    way: "up" | "down",
    look: (bytes: Uint8Array) => void,
  ): Promise<void> {
    const writer = to.writable.getWriter();
    try {
      for await (const bytes of from.readable) {
        await this.#gate.promise;
        look(bytes);
        await writer.write(bytes);
        this.forwarded[way] += bytes.length;
      }
    } catch (error) {
      const isEnd = [
        Deno.errors.BadResource,
        Deno.errors.Interrupted,
        Deno.errors.ConnectionReset,
        Deno.errors.BrokenPipe,
      ].some((type) => error instanceof type);
      if (!isEnd) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.goOn();
    for (const ends of this.#ends) ends[Symbol.dispose]();
    await Promise.all(this.#links);
    await this.#accepting;
  }
}
