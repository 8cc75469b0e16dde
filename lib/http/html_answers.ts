/**
 * Answers in HTML, for clients that ask for it: browsers whose user opened an address.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import { html } from "hono/html";
import { secureHeaders } from "hono/secure-headers";
import { type AppContext, type AppEnv, notFound } from "./context.ts";
import { readPageFile } from "./page_files.ts";

/** Paths of streams and histories, with the path of the live page. */
const READING_PATH = /^(\/pipelines\/p_[\w-]{1,62})\/(?:sse|events)$/;

/** Middleware with the headers of pages: they load nothing from other origins, and cannot be framed. */
export const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    workerSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: "DENY",
  // Only the proxy that terminates TLS knows whether all of its domain uses it.
  strictTransportSecurity: false,
  // Deprecated, or never standardized: no browser that runs the pages reads them.
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
});

/**
 * Middleware of files with the headers of the client, in place of those of pages: pages of any
 * origin may import it, also if they may not use the service. It comes before that of pages.
 */
export const clientHeaders: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  if (!c.req.path.startsWith("/assets/client/")) return;
  c.res.headers.set("Access-Control-Allow-Origin", "*");
  c.res.headers.set("Cross-Origin-Resource-Policy", "cross-origin");
};

/** Whether a client prefers a page. Programs and the requests of pages do not name this type. */
export function acceptsHtml(c: AppContext): boolean {
  return c.req.header("Accept")?.includes("text/html") ?? false;
}

/**
 * Reads a page, or a file of one: see {@linkcode readPageFile}.
 *
 * @throws {RunnelError} `not-found`.
 */
export async function page(name: string): Promise<Response> {
  const file = await readPageFile(name);
  if (!file) throw notFound();
  return file;
}

/** Returns a problem document as people are shown it: a page with the same status and headers. */
export async function showProblem(c: AppContext, problem: Response): Promise<Response> {
  // No cache stores a problem, so the answer needs no Vary.
  if (!acceptsHtml(c)) return problem;
  c.res = problem;
  const { status } = problem;
  // Hono has dropped the body of an answer to HEAD.
  const body = c.res.body && await problemPage(c.req.path, await c.res.json());
  // The headers of the problem are kept, except for the type of its content.
  c.res = new Response(body, { status, headers: { "Content-Type": "text/html; charset=utf-8" } });
  await pageHeaders(c, () => Promise.resolve());
  return c.res;
}

async function problemPage(
  path: string,
  { status, title, detail, type, requestId }: Record<string, string>,
): Promise<string> {
  const livePage = ["401", "403"].includes(String(status)) && READING_PATH.exec(path)?.[1];
  const page = await html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title} · Runnel</title>
        <link rel="icon" href="/assets/shared/icon.svg">
        <link rel="stylesheet" href="/assets/shared/style.css">
      </head>
      <body>
        <header class="top">
          <a class="brand"
            href="/"><img src="/assets/shared/icon.svg" alt="" width="28" height="28">Runnel</a>
          <nav aria-label="Pages"><a href="/">Start</a><a href="/openapi.json">API</a></nav>
        </header>
        <main class="start">
          <section class="hero">
            <h1>${title}</h1>
            <p class="lead">${detail}</p>
          </section>
          ${livePage &&
            html`<p>The <a href="${livePage}">live page</a> of this pipeline asks for a token.</p>`}
          <p class="soft">
            Status ${status}, <code>${type}</code>, request <code>${requestId}</code>
          </p>
        </main>
      </body>
    </html>
  `;
  return String(page);
}
