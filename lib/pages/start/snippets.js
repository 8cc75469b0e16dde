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
export function createSnippets(origin, pipeline) {
  return [
    {
      name: "watch",
      title: "Watch from a terminal",
      about: "The newest 100 events come first, then each new one. Ctrl-C stops the command.",
      code: `curl -N ${origin}/pipelines/${pipeline}/sse`,
    },
    {
      name: "curl",
      title: "Send from a terminal",
      about: "The channel is the name of the event, and the payload is any JSON value.",
      code: `curl ${origin}/ingest -H 'Content-Type: application/json' \\
  -d '{"pipeline":"${pipeline}","channel":"events","payload":{"name":"Luke Skywalker"}}'`,
    },
    {
      name: "workflow",
      title: "Send from a workflow",
      about:
        "Save it as hello.js in the folder of Runnel. The first line is the command that runs it.",
      code: `// deno task workflow hello.js --pipeline ${pipeline} --url ${origin}
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
      code: `const source = new EventSource("${origin}/pipelines/${pipeline}/sse");

source.addEventListener("events", (event) => {
  console.log(event.lastEventId, JSON.parse(event.data));
});`,
    },
  ];
}
