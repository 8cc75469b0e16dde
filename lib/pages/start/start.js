// @ts-check
/**
 * The start page: `GET /`.
 *
 * @module
 */

import { PipelineClient } from "../client/pipeline_client.js";
import { PipelineStream } from "../client/pipeline_stream.js";
import { holdStreamSlot, SLOT_EXPLANATION } from "../client/stream_slots.js";
import { readTokenNeeds } from "../client/token_needs.js";
import { copy } from "../shared/clipboard.js";
import { byId, element, setText } from "../shared/elements.js";
import { createRow, handleRowClick } from "../shared/event_rows.js";
import { describeError, STATE_LABELS } from "../shared/messages.js";
import { createTokenForm } from "../shared/token_form.js";
import { createPipelineId, createSnippets } from "./snippets.js";

/** Number of arrived events that are shown. */
const MAX_ARRIVALS = 5;

// Without an answer, the page shows by its state that the service does not answer.
const tokenNeeds = readTokenNeeds().catch(() => undefined);
const askToken = createTokenForm("token");
const arrivals = byId("arrivals");
const sendButton = byId("send", HTMLButtonElement);
// The address keeps the ID, so that a reload does not create another one.
const [kept] = /p_[\w-]{1,62}$/.exec(location.hash) ?? [];
let { client, stream } = openPipeline(kept ?? createPipelineId());

byId("renew").addEventListener("click", () => {
  stream.close();
  ({ client, stream } = openPipeline(createPipelineId()));
});
sendButton.addEventListener("click", send);
arrivals.addEventListener("click", handleRowClick);

/**
 * Shows a pipeline and opens its stream.
 *
 * @param {string} pipeline
 */
function openPipeline(pipeline) {
  history.replaceState(null, "", `#${pipeline}`);
  const client = new PipelineClient(pipeline, askToken);
  setText("pipeline", pipeline);
  byId("live", HTMLAnchorElement).href = client.path;
  showSnippets(pipeline);
  arrivals.replaceChildren();
  byId("empty").hidden = false;
  setText("sent", "");
  const stream = new PipelineStream({
    client,
    origin: location.origin,
    onEvent: receive,
    onState: showState,
    holdSlot: holdStreamSlot,
  });
  void stream.run();
  return { client, stream };
}

/** @param {string} pipeline */
async function showSnippets(pipeline) {
  const snippets = createSnippets(location.origin, pipeline, await tokenNeeds);
  byId("snippets").replaceChildren(...snippets.map(createCard));
}

/** @param {import("../client/pipeline_stream.js").ClientEvent} event */
function receive(event) {
  if (event.type !== "event") return;
  const { id, channel, data: payload } = event;
  byId("empty").hidden = true;
  /** @type {import("../shared/entry.js").EventEntry} */
  const entry = {
    kind: "event",
    id,
    channel,
    payload,
    time: Date.now(),
    isPublishTime: false,
    origin: "live",
  };
  arrivals.prepend(createRow(entry, () => 0));
  if (arrivals.children.length > MAX_ARRIVALS) arrivals.lastElementChild?.remove();
}

/** @param {import("../client/pipeline_stream.js").StreamState} state */
function showState(state) {
  byId("state").dataset["state"] = state.name;
  const more = state.name === "refused"
    ? `: ${state.reason}`
    : state.name === "needs-slot"
    ? `. ${SLOT_EXPLANATION}`
    : state.name === "ended"
    ? ". The run of this pipeline is over. Make a new ID to go on."
    : "";
  setText("state-text", STATE_LABELS[state.name] + more);
}

async function send() {
  sendButton.disabled = true;
  try {
    const id = await client.send("events", '{"name":"Luke Skywalker"}');
    setText("sent", `Accepted as ${id}.`);
    setText("send", "Send another event");
  } catch (error) {
    setText("sent", `Not sent: ${describeError(error)}`);
  } finally {
    sendButton.disabled = false;
  }
}

/** @param {import("./snippets.js").Snippet} snippet */
function createCard({ name, title, about, code }) {
  const button = element("button", { type: "button", "aria-label": `Copy: ${title}` }, "Copy");
  button.addEventListener("click", () => copy(button, code));
  return element(
    "section",
    { class: "card snippet", "data-snippet": name },
    element("div", { class: "snippet-head" }, element("h3", {}, title), button),
    element("p", { class: "soft" }, about),
    element(
      "pre",
      { tabindex: "0", role: "region", "aria-label": title },
      element("code", {}, code),
    ),
  );
}
