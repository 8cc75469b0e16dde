/**
 * What a newcomer is shown at `GET /`.
 *
 * @module
 */

/**
 * A short text with the commands that matter.
 *
 * @param origin Where this service is reached, such as `http://localhost:8000`.
 *
 * @example
 * ```ts
 * import { match } from "node:assert/strict";
 *
 * match(welcomeText("http://localhost:8000"), /curl -N http:\/\/localhost:8000\/pipelines/);
 * ```
 */
export function welcomeText(origin: string): string {
  return `Runnel: a Server-Sent Events destination for workflows.

Watch a pipeline:
  curl -N ${origin}/pipelines/p_aBcDeF/sse

Publish to it:
  curl ${origin}/ingest -H 'Content-Type: application/json' \\
    -d '{"pipeline":"p_aBcDeF","channel":"events","payload":{"name":"Luke Skywalker"}}'

In a web page:
  new EventSource("${origin}/pipelines/p_aBcDeF/sse")
    .addEventListener("events", (event) => console.log(event.data));

All routes: ${origin}/openapi.json
`;
}
