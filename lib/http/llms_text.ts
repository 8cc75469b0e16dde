/**
 * The text of `GET /llms.txt`, for programs and people that are to use the service at once.
 *
 * @see {@link https://llmstxt.org/}
 * @module
 */

import type { Config } from "../config/mod.ts";
import {
  MAX_CHANNEL_LENGTH,
  MAX_CHANNELS,
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
  MAX_PIPELINES,
} from "../protocol/mod.ts";

/**
 * Returns the text, as Markdown.
 *
 * @param origin Origin of this service, such as `http://localhost:8000`.
 */
export function llmsText(
  origin: string,
  { access, history, maxBodyBytes, retryMs }: Pick<
    Config,
    "access" | "history" | "maxBodyBytes" | "retryMs"
  >,
): string {
  const publisherToken = access.allowsAnonymous ? "" : ` \\\n  -H "Authorization: Bearer $TOKEN"`;
  const readersNeedToken = access.subscribe === "token";
  const readerToken = readersNeedToken ? ` -H "Authorization: Bearer $TOKEN"` : "";
  return `# Runnel

> A Server-Sent Events service: publishers post events to a pipeline, and each subscriber of its
> stream receives them at once, in one order, and again from where it was after a disconnect.

- A pipeline is a stream. Its ID is \`p_\` and 1 to 62 letters, digits, \`_\` or \`-\`. It needs no setup.
- A channel is the name of an event (its event type): 1 to ${MAX_CHANNEL_LENGTH} characters, not \`error\`,
  \`open\` or \`runnel.…\`.
- Publishing ${
    access.allowsAnonymous ? "needs no token here" : "needs a token: Authorization: Bearer"
  }.
  Subscribing ${readersNeedToken ? "needs a token or a ticket" : "needs the pipeline ID only"}.

## Publish

\`\`\`sh
curl ${origin}/ingest -H 'Content-Type: application/json'${publisherToken} \\
  -d '{"pipeline":"p_aBcDeF","channel":"events","payload":{"name":"Luke Skywalker"}}'
\`\`\`

The answer is 202 with \`{"events":[{"pipeline","id"}]}\`, after the events are durable. The body is one
event or an array, all for one pipeline, stored all or none. \`application/x-ndjson\` takes one event a
line. \`POST /ingest/{pipeline}/{channel}\` takes the payload alone. \`POST /pipelines/{pipeline}/events\`
takes NDJSON or an event stream whose events are stored while they arrive. Send an \`Idempotency-Key\` header
to repeat a request within 24 hours without adding an event. \`"end": true\` on the last event, or
\`POST /pipelines/{pipeline}/end\`, ends the run: later publishes get 409.

## Subscribe

\`\`\`sh
curl -N${readerToken} ${origin}/pipelines/p_aBcDeF/sse
\`\`\`

\`\`\`js
const source = new EventSource("${
    readersNeedToken ? "URL of a ticket" : `${origin}/pipelines/p_aBcDeF/sse`
  }");
source.addEventListener("events", (event) => console.log(JSON.parse(event.data)));
\`\`\`

Add a listener for each channel: \`onmessage\` receives none. The stream begins with the newest ${history}
events; \`?history=0\` omits them, \`?since=PT10M\` sends all of the last ten minutes instead, and
\`?channel=a&channel=b\` names up to ${MAX_CHANNELS} channels. It continues after the header \`Last-Event-ID\`, which an
EventSource sends by itself when it reconnects. Streams end after about an hour, and come back after
\`retry\` (${retryMs} ms or more). Control events:

- \`runnel.live\`: the history ends here, new events follow.
- \`runnel.gap\` with \`{"missed","reason"}\`: events are gone, by age, a clear or a loss.
- \`runnel.end\`: the run has ended. Close the EventSource.
- \`runnel.expired\`: the token or ticket has ended. Open another stream.

An \`EventSource\` ends at an error status, such as 502 of a proxy. A client that comes back, for pages, is
\`${origin}/assets/client/mod.js\`:
\`for await (const event of subscribe("${origin}", { pipelines: "p_a" })) …\`

\`GET /sse?pipeline=p_a&pipeline=p_b\` sends up to ${MAX_PIPELINES} pipelines on one stream: the type of an
event is \`pipeline/channel\`, and control events name their pipeline in their data.
With \`Accept: application/x-ndjson\` a stream is lines of JSON; with \`wait=30\` it is a long poll.

\`GET /pipelines/{pipeline}/events\` returns the history as JSON, with the times of the publishes.
\`?after=ID&limit=100\` returns the page of events after an ID, and \`Link\` leads to the next one. Its
\`lastEventId\` is where a stream goes on; \`&wait=30\` waits for an event there. With
\`Accept: application/x-ndjson\` the answer is an event a line.
\`POST /pipelines/{pipeline}/tickets\` returns \`{"url","expires"}\`: a URL that opens one stream without
a token. \`POST /tickets\` with \`{"pipelines":["p_a","p_b"]}\` does so for a stream of several.
\`DELETE /pipelines/{pipeline}/events\` clears the history, for publishers on all channels.

## Limits

- Request: ${maxBodyBytes / 1024} KiB, not compressed, ${MAX_EVENTS.toLocaleString("en")} events.
- Payload: ${MAX_PAYLOAD_BYTES / 1024} KiB as JSON in UTF-8, ${MAX_PAYLOAD_DEPTH} levels deep.
- Browsers open six connections to a host over HTTP/1.1: use one stream for a whole page.

## Errors

An error is \`application/problem+json\` with \`type\`, \`title\`, \`status\` and \`detail\`, which says what to
do. 400, 404, 405, 413, 415 and 422: correct the request. 401 and 403: send a token that covers it.
429 and 503: repeat it after \`Retry-After\` seconds. After \`urn:runnel:problem:outcome-unknown\` repeat
it with the same \`Idempotency-Key\`: the events may be stored.

## More

- [OpenAPI description](${origin}/openapi.json): all routes, as JSON
- [Live page](${origin}/pipelines/p_aBcDeF): the events of a pipeline, in a browser
`;
}
