// @ts-check
/**
 * The form that sends a test event.
 *
 * @module
 */

import { byId, setText } from "../shared/elements.js";
import { describeError } from "../shared/messages.js";

/**
 * Lets the form send events.
 *
 * @param {import("../client/pipeline_client.js").PipelineClient} client
 */
export function connectSendForm(client) {
  const channel = byId("send-channel", HTMLInputElement);
  const payload = byId("send-payload", HTMLTextAreaElement);
  const button = byId("send", HTMLButtonElement);

  byId("send-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = payload.value.trim();
    if (!isJson(text)) {
      answer("Not sent: the payload is not JSON. Put a plain text in double quotes.");
      payload.focus();
      return;
    }
    button.disabled = true;
    answer("Sending.");
    try {
      answer(`Sent as ${await client.send(channel.value, text)}.`);
    } catch (error) {
      answer(`Not sent: ${describeError(error)}`);
    } finally {
      button.disabled = false;
    }
  });
}

/** @param {string} text Shown where the user sees it, also if the sidebar is cut off there. */
function answer(text) {
  setText("sent", text);
  byId("sent").scrollIntoView({ block: "nearest" });
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
