/**
 * Requests of an instance to itself, over the network as those of any client.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { RequestOptions } from "node:https";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { CertificateFiles } from "./certificate_files.ts";
import type { Address } from "./server.ts";

/** An instance, as its own client knows it. */
export interface OwnAddress {
  /** Address at which it listens. */
  address: Address;
  /** Its certificate for HTTPS; `null` for HTTP. */
  certificate: Pick<CertificateFiles, "pair" | "facts"> | null;
}

/** Options for {@linkcode requestSelf}. */
export interface OwnRequest {
  /** Path of the URL. */
  path: string;
  /** The method. */
  method: "GET" | "POST";
  /** Headers of the request. */
  headers: Record<string, string>;
  /** The body; none by default. */
  body?: string;
  /** Ends the request, and the connection with it. */
  signal: AbortSignal;
}

/**
 * Sends a request on a connection of its own, so that any of several isolates may get it.
 *
 * With a certificate, it connects to this machine and asks for a name of the certificate,
 * which need not lead here. It trusts the certificates of the chain that is in use, and no
 * others, and refuses them for another name or after their end.
 */
export async function requestSelf(
  { address: { hostname, port }, certificate }: OwnAddress,
  { path, ...request }: OwnRequest,
): Promise<Response> {
  const host = hostOf(hostname);
  if (certificate) return await requestOverTls({ ...request, path, host, port }, certificate);
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    return await fetch(`http://${authority}${path}`, { ...request, client });
  } finally {
    // The response goes on.
    client.close();
  }
}

/** The client of Node does this: `fetch` connects to the host of its URL. It takes 8 MiB. */
async function requestOverTls(
  { body, ...request }: Omit<OwnRequest, "signal"> & RequestOptions,
  certificate: Pick<CertificateFiles, "pair" | "facts">,
): Promise<Response> {
  const node = await import("node:https");
  const { Readable } = await import("node:stream");
  const options = { ...request, ...await trust(certificate), agent: false };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  node.request(options, resolve).on("error", (error) => reject(withRemedy(error))).end(body);
  const message = await promise;
  const stream = Readable.toWeb(message) as NodeReadableStream<Uint8Array<ArrayBuffer>>;
  return new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>, {
    status: message.statusCode!,
  });
}

async function trust(
  { pair, facts }: Pick<CertificateFiles, "pair" | "facts">,
): Promise<RequestOptions> {
  const { checkServerIdentity } = await import("node:tls");
  const { isIP } = await import("node:net");
  const [first] = facts.names;
  if (first === undefined) {
    throw new Error("the certificate has no name of a host, and clients refuse it");
  }
  const name = first.replace("*", "canary");
  return {
    ca: pair.cert,
    // A client sends the name that it asks for, and no address.
    servername: isIP(name) ? "" : name,
    checkServerIdentity: (_host, found) => checkServerIdentity(name, found),
  };
}

/** Adds the remedy to an error, if it is that of a chain without its issuer. */
function withRemedy(error: Error & { code?: string }): Error {
  if (error.code !== "UNABLE_TO_VERIFY_LEAF_SIGNATURE") return error;
  return new Error(
    "the certificate cannot be verified by its chain. If it has ended, renew it; otherwise " +
      "append the certificate of its issuer to the file of RUNNEL_TLS_CERT",
    { cause: error },
  );
}

/** Returns the host under which this machine reaches an address of its own. */
function hostOf(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  return hostname === "::" ? "::1" : hostname;
}
