/**
 * A proxy that cuts connections at any byte, inside of blocks and lines.
 *
 * @module
 */

/** A place at which a connection is cut. */
export interface Cut {
  /** Number of bytes of the answer that come before it. */
  bytes: number;
  /**
   * Whether the connection is cut behind the next line with an ID, before the blank line that
   * ends the block: the worst place for a client that takes an ID before it has the event.
   */
  behindId: boolean;
}

/** Passes connections on to a port, and cuts each after some bytes of the answer. */
export class CuttingProxy implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #nextCut: () => Cut | null;
  /** Number of connections that were cut. */
  cuts = 0;

  /**
   * @param target Port to pass connections on to.
   * @param nextCut Returns where the next connection is cut; `null` if it is not.
   */
  constructor(target: number, nextCut: () => Cut | null) {
    this.#target = target;
    this.#nextCut = nextCut;
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
    const cut = this.#nextCut();
    const countBytes = cut === null ? () => null : counter(cut);
    let server: Deno.TcpConn | null = null;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
      client.readable.pipeTo(server.writable).catch(() => {});
      const buffer = new Uint8Array(16 * 1024);
      for (;;) {
        const count = await server.read(buffer);
        if (count === null) break;
        const last = countBytes(buffer.subarray(0, count));
        await client.write(buffer.subarray(0, last ?? count));
        if (last === null) continue;
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

/** Returns a function that takes the chunks of an answer, and returns how many bytes of one pass. */
function counter({ bytes, behindId }: Cut): (chunk: Uint8Array) => number | null {
  let passed = 0;
  let line = "";
  return (chunk) => {
    const start = passed;
    passed += chunk.length;
    if (!behindId) return passed < bytes ? null : bytes - start;
    // One character for each byte.
    const text = line + new TextDecoder("latin1").decode(chunk);
    const offset = start - line.length;
    line = text.slice(text.lastIndexOf("\n") + 1);
    for (const { 0: match, index } of text.matchAll(/^id: [^\n]*\n/gm)) {
      const end = offset + index + match.length;
      if (end > bytes) return end - start;
    }
    return null;
  };
}
