/**
 * The text that `GET /` shows in a terminal.
 *
 * @module
 */

import type { Config } from "../config/mod.ts";

/**
 * Returns a short text with the most important commands.
 *
 * @param origin Origin of this service, such as `http://localhost:8000`.
 * @param access Settings that say who needs a token.
 */
export function welcomeText(
  origin: string,
  { allowsAnonymous, subscribe }: Pick<Config["access"], "allowsAnonymous" | "subscribe">,
): string {
  const token = `-H "Authorization: Bearer $TOKEN"`;
  const forReaders = subscribe === "token" ? ` ${token}` : "";
  const forPublishers = allowsAnonymous ? "" : ` \\\n    ${token}`;
  const url = subscribe === "token"
    ? "URL of a ticket: POST /pipelines/p_aBcDeF/tickets"
    : `${origin}/pipelines/p_aBcDeF/sse`;
  return `Runnel: a Server-Sent Events destination for workflows.

Watch a pipeline:
  curl -N${forReaders} ${origin}/pipelines/p_aBcDeF/sse

Publish to it:
  curl ${origin}/ingest -H 'Content-Type: application/json'${forPublishers} \\
    -d '{"pipeline":"p_aBcDeF","channel":"events","payload":{"name":"Luke Skywalker"}}'

In a web page:
  new EventSource("${url}")
    .addEventListener("events", (event) => console.log(event.data));

All of it on one page: ${origin}/llms.txt
All routes: ${origin}/openapi.json
`;
}
