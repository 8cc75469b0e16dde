// @ts-check
/**
 * The deletion of the history, after a confirmation.
 *
 * @module
 */

import { byId, setText } from "../shared/elements.js";
import { describeError } from "../shared/messages.js";

/**
 * Lets the button delete the history.
 *
 * @param {import("../client/pipeline_client.js").PipelineClient} client
 * @param {() => void} onDeleted Called when the service has deleted it.
 */
export function connectDelete(client, onDeleted) {
  const dialog = byId("confirm", HTMLDialogElement);
  const button = byId("delete", HTMLButtonElement);
  button.addEventListener("click", () => dialog.showModal());
  byId("confirm-cancel").addEventListener("click", () => dialog.close());
  byId("confirm-delete").addEventListener("click", async () => {
    dialog.close();
    button.disabled = true;
    setText("deleted", "Deleting.");
    try {
      await client.deleteHistory();
      onDeleted();
      setText("deleted", "The history is deleted.");
    } catch (error) {
      setText("deleted", `Not deleted: ${describeError(error)}`);
    } finally {
      button.disabled = false;
      byId("deleted").scrollIntoView({ block: "nearest" });
    }
  });
}
