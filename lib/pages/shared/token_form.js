// @ts-check
/**
 * Asks the user for a token, in the page.
 *
 * @module
 */

import { byId, element } from "./elements.js";
import { Refusal } from "./refusal.js";

/**
 * Creates a form that asks for a token. It is not in the page before that.
 *
 * @param {string} id ID of the element that it appears in.
 * @returns {(why: string) => Promise<string>} Asks, and resolves with the token; rejects with a
 *   {@linkcode Refusal} if the user enters none. Simultaneous callers share one form.
 */
export function createTokenForm(id) {
  const host = byId(id);
  /** @type {Promise<string> | null} */
  let pending = null;
  return (why) => pending ??= ask(host, why).finally(() => pending = null);
}

/**
 * @param {HTMLElement} host
 * @param {string} why
 */
function ask(host, why) {
  /** @type {PromiseWithResolvers<string>} */
  const { promise, resolve, reject } = Promise.withResolvers();
  const input = element("input", {
    id: "token-input",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: "",
    "aria-describedby": "token-why",
  });
  const skip = element("button", { type: "button" }, "Not now");
  const form = element(
    "form",
    { class: "token" },
    element("p", { id: "token-why", role: "alert" }, why),
    element("label", { for: "token-input" }, "Token"),
    input,
    element("p", { class: "soft" }, "It stays in this page’s memory and is gone when you leave."),
    element(
      "div",
      { class: "actions" },
      element("button", { class: "primary" }, "Use this token"),
      skip,
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    resolve(input.value.trim());
  });
  skip.addEventListener("click", () => reject(new Refusal("This needs a token.")));
  host.replaceChildren(form);
  input.focus();
  return promise.finally(() => host.replaceChildren());
}
