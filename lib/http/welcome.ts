/**
 * The text that `GET /` shows in a terminal.
 *
 * @module
 */

/**
 * Returns a short text with the most important commands.
 *
 * @param origin Origin of this service, such as `http://localhost:8000`.
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
