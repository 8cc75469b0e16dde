/**
 * A service on a real port of this machine.
 *
 * @module
 */

import type { KeyPair } from "../../../lib/service/certificate.ts";
import { PATIENCE_MS } from "../wait.ts";

/** A server that a test disposes of. */
export interface LocalServer extends AsyncDisposable {
  port: number;
  url: string;
  /** Number of requests in flight, up to the headers of their responses. */
  readonly handling: number;
}

/** Serves until disposed, over HTTPS with a certificate; then cuts all connections, as a crash does. */
export function serveLocally(
  fetch: (request: Request, info: Deno.ServeHandlerInfo) => Promise<Response>,
  port: number = 0,
  pair: KeyPair | null = null,
): LocalServer {
  const controller = new AbortController();
  let handling = 0;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, ...pair, signal: controller.signal, onListen: () => {} },
    async (request, info) => {
      handling++;
      try {
        return await fetch(request, info);
      } finally {
        handling--;
      }
    },
  );
  return {
    port: server.addr.port,
    url: `${pair ? "https" : "http"}://127.0.0.1:${server.addr.port}`,
    get handling() {
      return handling;
    },
    async [Symbol.asyncDispose]() {
      controller.abort();
      await server.finished;
    },
  };
}

/** Opens a connection to a server of this machine, over TLS if `caCerts` are given. */
export async function connectLocally(
  port: number,
  caCerts?: string[],
  alpn: "h2" | "http/1.1" = "http/1.1",
): Promise<Deno.Conn> {
  const hostname = "127.0.0.1";
  if (!caCerts) return await Deno.connect({ hostname, port });
  const connection = await Deno.connectTls({
    hostname,
    port,
    caCerts,
    alpnProtocols: [alpn],
  });
  await connection.handshake();
  return connection;
}

/** Opens a connection and sends a text unchanged. It does not read. */
export async function sendRaw(
  port: number,
  text: string,
  caCerts?: string[],
): Promise<Deno.Conn> {
  const connection = await connectLocally(port, caCerts);
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
  return connection;
}

/** Reads from a connection until the other side closes it, or the text is enough. */
export async function readRaw(
  connection: Deno.Conn,
  enough: (text: string) => boolean = () => false,
): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  // Closing the connection is the only way to cancel a read.
  const timer = setTimeout(() => connection.close(), PATIENCE_MS);
  try {
    while (!enough(text)) {
      const length = await connection.read(buffer);
      if (length === null) break;
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  } finally {
    clearTimeout(timer);
  }
  return text;
}
