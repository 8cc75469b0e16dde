// @ts-check
/**
 * The form that sends a test event.
 *
 * @module
 */

import { byId, setText } from "../shared/elements.js";

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
      setText("sent", "Not sent: the payload is not JSON. Put a plain text in double quotes.");
      payload.focus();
      return;
    }
    button.disabled = true;
    setText("sent", "Sending.");
    try {
      setText("sent", `Sent as ${await client.send(channel.value, text)}.`);
    } catch (error) {
      setText("sent", `Not sent: ${error instanceof Error ? error.message : error}`);
    } finally {
      button.disabled = false;
    }
  });
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
