/**
 * The route of the OpenAPI document, which browsers get as a page.
 *
 * @module
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import manifest from "../../deno.json" with { type: "json" };
import type { AppEnv } from "./context.ts";
import { acceptsHtml, page, pageHeaders } from "./html_answers.ts";
import { type Routes, SECURITY_SCHEMES } from "./openapi.ts";

/**
 * Adds the route to an app, with the descriptions of all routes.
 *
 * They are described here and not by `app.openapi()`, which would read and validate a
 * body before the handler has authenticated the client.
 */
export function addDocumentRoute(app: OpenAPIHono<AppEnv>, routes: Routes): void {
  for (const route of Object.values(routes)) app.openAPIRegistry.registerPath(route);
  for (const [name, scheme] of Object.entries(SECURITY_SCHEMES)) {
    app.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
  }
  // Built at its first request: it would delay the start.
  let document: ReturnType<typeof app.getOpenAPI31Document> | undefined;
  app.get(routes.openapi.getRoutingPath(), async (c) => {
    if (!acceptsHtml(c)) {
      document ??= app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: { title: "Runnel", version: manifest.version },
      });
      return c.json(document, 200, { Vary: "Accept" });
    }
    c.res = await page("api/api.html");
    await pageHeaders(c, () => Promise.resolve());
    c.res.headers.append("Vary", "Accept");
    return c.res;
  });
}
