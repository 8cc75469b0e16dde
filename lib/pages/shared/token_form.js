/**
 * Asks for a token, in the page.
 *
 * @module
 */

import { byId, element } from "./elements.js";
import { Refusal } from "./refusal.js";

/**
 * Makes what asks for a token: nothing is seen of it until then.
 *
 * @param {string} id The ID of the element that it appears in.
 * @returns {(why: string) => Promise<string>} Asks; rejects if there is none.
 */
export function createTokenForm(id) {
  const host = byId(id);
  let asked = null;
  return (why) => asked ??= ask(host, why).finally(() => asked = null);
}

function ask(host, why) {
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
