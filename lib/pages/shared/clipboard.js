/**
 * Copies text.
 *
 * @module
 */

import { element } from "./elements.js";

/** How long a button says that it has copied, in milliseconds. */
const FEEDBACK_MS = 1500;

/**
 * Copies a text and lets the button say so for a moment.
 *
 * @param {HTMLButtonElement} button The button that was pressed.
 * @param {string} text What to copy.
 */
export async function copy(button, text) {
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false) ||
    copyBySelection(text, button);
  const before = button.dataset.label ??= button.textContent;
  button.textContent = isCopied ? "Copied" : "Copy failed";
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = String(setTimeout(() => button.textContent = before, FEEDBACK_MS));
}

/** The clipboard itself is only there for pages by HTTPS and on this machine. */
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
