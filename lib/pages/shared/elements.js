/**
 * Makes and finds elements.
 *
 * @module
 */

/**
 * Makes an element.
 *
 * @param {string} name Its name.
 * @param {Record<string, string>} attributes Its attributes.
 * @param {(Node | string)[]} children What it holds.
 */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  created.append(...children);
  return created;
}

/** Finds what the page cannot be without. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`Cannot find #${id} in the page`);
  return found;
}

/** Sets an element's text, and leaves the document alone if it is the same. */
export function setText(id, text) {
  const found = byId(id);
  if (found.textContent !== text) found.textContent = text;
}

/** JSON text as elements, each token in its colour. */
export function colored(tokens) {
  return tokens.map(({ kind, text }) => {
    return kind === "mark" ? text : element("span", { class: `json-${kind}` }, text);
  });
}
