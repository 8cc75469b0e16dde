/**
 * The routes of the pages.
 *
 * @module
 */

import { Hono } from "hono";
import { type AppEnv, originOf, pipelineOf, type RouteOptions, textAnswer } from "./context.ts";
import { acceptsHtml, clientHeaders, page, pageHeaders } from "./html_answers.ts";
import { llmsText } from "./llms_text.ts";
import { welcomeText } from "./welcome.ts";

/** Creates the routes of the pages. */
export function pageRoutes(
  { routes, config }: Pick<RouteOptions, "routes" | "config">,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use("/assets/*", clientHeaders);
  for (const path of ["/", "/diagnose", "/assets/*", "/pipelines/:pipeline"]) {
    app.use(path, pageHeaders);
  }

  app.get(routes.start.getRoutingPath(), async (c) => {
    const response = acceptsHtml(c)
      ? await page("start/start.html")
      : textAnswer(welcomeText(originOf(c, config), config.access));
    response.headers.append("Vary", "Accept");
    return response;
  });
  app.get(routes.viewer.getRoutingPath(), (c) => {
    pipelineOf(c);
    return page("viewer/viewer.html");
  });
  app.get(
    routes.llms.getRoutingPath(),
    (c) => textAnswer(llmsText(originOf(c, config), config)),
  );
  app.get(routes.diagnose.getRoutingPath(), () => page("diagnose/diagnose.html"));
  app.get(
    routes.asset.getRoutingPath(),
    (c) => page(`${c.req.param("folder")}/${c.req.param("file")}`),
  );
  return app;
}
