/**
 * Redirection of plain HTTP to HTTPS, on a port of its own.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#name-308-permanent-redirect}
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { CertificateFiles } from "./certificate_files.ts";
import { CONNECTIONS_MS, DrainDeadline } from "./drain_timetable.ts";
import { listen, type Listener } from "./server.ts";

/** Methods that are redirected: others may have sent a token in the clear. */
const REDIRECTED = ["GET", "HEAD"];

/** Headers of all responses. */
const HEADERS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" } as const;

/** A listener that redirects. */
export class HttpsRedirects {
  /** Port of HTTPS. */
  httpsPort: number;
  readonly #listener: Listener;
  readonly #clock: Runtime["clock"];
  #closing: Promise<void> | null = null;

  private constructor(
    config: Config,
    port: number,
    certificate: CertificateFiles,
    runtime: Runtime,
  ) {
    this.httpsPort = config.port;
    this.#clock = runtime.clock;
    const fetch = (request: Request) => {
      const { names } = certificate.facts;
      return Promise.resolve(redirectToHttps(request, { port: this.httpsPort, names }));
    };
    this.#listener = listen({ fetch, runtime }, { hostname: config.host, port }, {
      setting: "RUNNEL_HTTP_REDIRECT_PORT",
    });
  }

  /**
   * Listens at the port of the settings; returns `null` if they name none.
   *
   * @throws {RunnelError} `invalid-setting` if it cannot listen there.
   */
  static listen(
    config: Config,
    certificate: CertificateFiles,
    runtime: Runtime,
  ): HttpsRedirects | null {
    const { httpRedirectPort } = config;
    if (httpRedirectPort === null) return null;
    return new HttpsRedirects(config, httpRedirectPort, certificate, runtime);
  }

  /** Stops to listen, and waits for the open connections, as long as a drain does. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    using deadline = new DrainDeadline(this.#clock, CONNECTIONS_MS);
    await this.#listener.close(deadline);
  }
}

/** Options for {@linkcode redirectToHttps}. */
export interface HttpsRedirectOptions {
  /** Port of HTTPS. */
  port: number;
  /** Names in the certificate: DNS names, also with a wildcard, and IP addresses. */
  names: readonly string[];
}

/**
 * Answers a request over HTTP: GET and HEAD with 308 to the same URL over HTTPS, others
 * with 403, which tells publishers to use HTTPS from the start.
 *
 * The host that a request names is written by the client. It is followed only if it is in
 * the certificate; otherwise the answer is 421.
 */
export function redirectToHttps(
  request: Request,
  { port, names }: HttpsRedirectOptions,
): Response {
  const { hostname, pathname, search } = new URL(request.url);
  if (!hasName(names, hostname)) {
    return refuse(421, "Cannot redirect to HTTPS: the certificate has no such host name");
  }
  const origin = `https://${hostname}${port === 443 ? "" : `:${port}`}`;
  if (!REDIRECTED.includes(request.method)) {
    return refuse(403, `Cannot accept this over HTTP. Use ${origin}${pathname} and a new token`);
  }
  return new Response(null, {
    status: 308,
    headers: { ...HEADERS, "Location": `${origin}${pathname}${search}` },
  });
}

function refuse(status: number, detail: string): Response {
  return new Response(`${detail}\n`, {
    status,
    headers: { ...HEADERS, "Content-Type": "text/plain; charset=UTF-8" },
  });
}

/** Whether names of a certificate contain a host. A wildcard stands for one label. */
function hasName(names: readonly string[], hostname: string): boolean {
  const host = hostname.replace(/\.$/, "");
  return names.some((name) => toHost(name) === host) ||
    names.includes(host.replace(/^[^.]+/, "*"));
}

/** Returns a name as URLs have it: IPv6 addresses in brackets and in their short form. */
function toHost(name: string): string {
  return name.includes(":") ? new URL(`http://[${name}]`).hostname : name;
}
