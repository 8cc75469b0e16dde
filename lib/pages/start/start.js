/**
 * The start page: `GET /`.
 *
 * @module
 */

import { copy } from "../shared/clipboard.js";
import { byId, element, setText } from "../shared/elements.js";
import { createRow, describeEvent, entryOf, showAll } from "../shared/event_rows.js";
import { LiveStream } from "../client/live_stream.js";
import { PipelineClient } from "../client/pipeline_client.js";
import { createPipelineId, createSnippets } from "./snippets.js";
import { STATE_LABELS } from "../shared/messages.js";
import { createTokenForm } from "../shared/token_form.js";

/** How many of the events that arrive are shown. */
const ARRIVALS = 5;

const askToken = createTokenForm("token");
const arrivals = byId("arrivals");
let client = null;
let stream = null;

byId("renew").addEventListener("click", () => use(createPipelineId()));
byId("send").addEventListener("click", send);
arrivals.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.action === "copy") copy(button, describeEvent(entryOf(button)));
  if (button?.dataset.action === "all") showAll(button);
});
addEventListener("online", () => stream.retryNow());
// The address keeps the ID, so that a reload does not make another one.
const [kept] = /p_[\w-]{1,62}$/.exec(location.hash) ?? [];
use(kept ?? createPipelineId());

function use(pipeline) {
  history.replaceState(null, "", `#${pipeline}`);
  client = new PipelineClient(pipeline, askToken);
  setText("pipeline", pipeline);
  byId("live").href = client.path;
  byId("snippets").replaceChildren(...createSnippets(location.origin, pipeline).map(showSnippet));
  arrivals.replaceChildren();
  byId("empty").hidden = false;
  setText("sent", "");
  stream?.close();
  stream = follow(client);
}

function follow(client) {
  const stream = new LiveStream({
    open: (lastEventId) => client.openStream(lastEventId),
    onEvents: (events) => events.forEach(receive),
    onState: showState,
  });
  stream.run();
  return stream;
}

function receive({ id, type, data }) {
  if (type.startsWith("runnel.")) return;
  byId("empty").hidden = true;
  const event = {
    kind: "event",
    id,
    channel: type,
    payload: data,
    time: Date.now(),
    isPublishTime: false,
    origin: "news",
  };
  arrivals.prepend(createRow(event, () => 0));
  if (arrivals.children.length > ARRIVALS) arrivals.lastElementChild.remove();
}

function showState(state) {
  byId("state").dataset.state = state.name;
  const more = state.name === "refused" ? `: ${state.reason}` : "";
  setText("state-text", STATE_LABELS[state.name] + more);
}

async function send() {
  const button = byId("send");
  button.disabled = true;
  try {
    const id = await client.send("events", '{"name":"Luke Skywalker"}');
    setText("sent", `Accepted as ${id}.`);
    setText("send", "Send another event");
  } catch (error) {
    setText("sent", `Not sent: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

function showSnippet({ name, title, about, code }) {
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
