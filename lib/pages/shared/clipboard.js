// @ts-check
/**
 * Copies text to the clipboard.
 *
 * @module
 */

import { element } from "./elements.js";

/** Time for which a button shows the result, in milliseconds. */
const FEEDBACK_MS = 1500;

/**
 * Copies a text, and shows the result in the button for a moment.
 *
 * @param {HTMLButtonElement} button The button that was pressed.
 * @param {string} text
 */
export async function copy(button, text) {
  const isCopied = await copyByClipboard(text) || copyBySelection(text, button);
  const { dataset } = button;
  const label = dataset["label"] ??= button.textContent;
  button.textContent = isCopied ? "Copied" : "Copy failed";
  clearTimeout(Number(dataset["timer"]));
  dataset["timer"] = String(setTimeout(() => button.textContent = label, FEEDBACK_MS));
}

/** @param {string} text */
async function copyByClipboard(text) {
  // Browsers have it over HTTPS and on this machine only.
  const clipboard = /** @type {Clipboard | undefined} */ (navigator.clipboard);
  if (!clipboard) return false;
  return await clipboard.writeText(text).then(() => true, () => false);
}

/**
 * @param {string} text
 * @param {HTMLButtonElement} button Gets the focus back.
 */
function copyBySelection(text, button) {
  const area = element("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } finally {
    area.remove();
    button.focus();
  }
}
