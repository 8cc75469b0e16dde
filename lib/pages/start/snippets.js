// @ts-check
/**
 * Commands and programs to copy from the start page.
 *
 * @module
 */

const LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const ID_LENGTH = 10;

/**
 * Creates a random pipeline ID.
 *
 * @example
 * ```ts
 * import { match } from "node:assert/strict";
 *
 * match(createPipelineId(), /^p_[A-Za-z0-9]{10}$/);
 * ```
 */
export function createPipelineId() {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_LENGTH));
  return `p_${Array.from(bytes, (byte) => LETTERS[byte % LETTERS.length]).join("")}`;
}

/**
 * A text to copy.
 *
 * @typedef {object} Snippet
 * @property {string} name Identifier in the document.
 * @property {string} title
 * @property {string} about A sentence or two for people.
 * @property {string} code
 */

/**
 * Creates the snippets of a pipeline.
 *
 * @param {string} origin Origin of the service.
 * @param {string} pipeline Pipeline ID.
 * @param {import("../client/token_needs.js").TokenNeeds} [needsToken] Who needs a token.
 * @returns {Snippet[]}
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 *
 * const [watch] = createSnippets("http://localhost:8000", "p_aBcDeF");
 * ok(watch?.code.includes("http://localhost:8000/pipelines/p_aBcDeF/sse"));
 * ```
 */
export function createSnippets(
  origin,
  pipeline,
  needsToken = { publish: false, subscribe: false },
) {
  const header = `-H "Authorization: Bearer $TOKEN"`;
  const forReaders = needsToken.subscribe ? ` ${header}` : "";
  const forPublishers = needsToken.publish ? ` \\\n  ${header}` : "";
  const forWorkflow = needsToken.publish ? "RUNNEL_TOKEN=$TOKEN " : "";
  const stream = `${origin}/pipelines/${pipeline}/sse`;
  return [
    {
      name: "watch",
      title: "Watch from a terminal",
      about: "The newest 100 events come first, then each new one. Ctrl-C stops the command.",
      code: `curl -N${forReaders} ${stream}`,
    },
    {
      name: "curl",
      title: "Send from a terminal",
      about: "The channel is the name of the event, and the payload is any JSON value.",
      code: `curl ${origin}/ingest -H 'Content-Type: application/json'${forPublishers} \\
  -d '{"pipeline":"${pipeline}","channel":"events","payload":{"name":"Luke Skywalker"}}'`,
    },
    {
      name: "workflow",
      title: "Send from a workflow",
      about:
        "Save it as hello.js in the folder of Runnel. The first line is the command that runs it.",
      code: `// ${forWorkflow}deno task workflow hello.js --pipeline ${pipeline} --url ${origin}
export default defineComponent({
  async run({ steps, $ }) {
    $.send.sse({
      channel: "events",
      payload: { name: "Luke Skywalker" },
    });
  },
});`,
    },
    {
      name: "page",
      title: "Receive in a web page",
      about:
        "A listener receives the events of one channel. Add one for each channel that you want.",
      code: `${
        needsToken.subscribe ? askTicket(pipeline) : `const source = new EventSource("${stream}");`
      }

source.addEventListener("events", (event) => {
  console.log(event.lastEventId, JSON.parse(event.data));
});`,
    },
  ];
}

/**
 * Code of a page whose server gets it a ticket, because an EventSource cannot send a token.
 *
 * @param {string} pipeline
 */
function askTicket(pipeline) {
  return `// Your server sends POST /pipelines/${pipeline}/tickets with its token, and returns the answer.
const { url } = await (await fetch("/ticket", { method: "POST" })).json();
const source = new EventSource(url);`;
}
