/**
 * A proxy that cuts connections at any byte, inside of blocks and lines.
 *
 * @module
 */

/** Passes connections on to a port, and cuts each after some bytes of the answer. */
export class CuttingProxy implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #nextLimit: () => number;
  /** Number of connections that were cut. */
  cuts = 0;

  /**
   * @param target Port to pass connections on to.
   * @param nextLimit Returns the number of bytes after which the next connection is cut.
   */
  constructor(target: number, nextLimit: () => number) {
    this.#target = target;
    this.#nextLimit = nextLimit;
    this.#accept();
  }

  /** Address of the proxy. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) this.#pass(client);
    } catch (error) {
      // The listener was closed.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #pass(client: Deno.TcpConn): Promise<void> {
    let left = this.#nextLimit();
    let server: Deno.TcpConn | null = null;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
      client.readable.pipeTo(server.writable).catch(() => {});
      const buffer = new Uint8Array(16 * 1024);
      for (;;) {
        const count = await server.read(buffer);
        if (count === null) break;
        await client.write(buffer.subarray(0, Math.min(count, left)));
        left -= count;
        if (left > 0) continue;
        this.cuts++;
        break;
      }
    } catch {
      // Either side has gone: the other one is closed as well.
    }
    for (const connection of [client, server]) {
      try {
        connection?.close();
      } catch {
        // A pipe has closed it.
      }
    }
  }

  /** Stops to accept connections. */
  [Symbol.dispose](): void {
    this.#listener.close();
  }
}
