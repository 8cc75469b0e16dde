// @ts-check
/**
 * The description of the API for people: `GET /openapi.json` in a browser.
 *
 * @module
 */

import { byId, element, setText } from "../shared/elements.js";
import { describeAccess, describeSchema, groupRoutes } from "./document.js";

/** @typedef {import("./document.js").Route} Route */
/** @typedef {import("./document.js").Content} Content */

try {
  const response = await fetch(location.pathname, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`The service answered ${response.status}.`);
  const text = await response.text();
  // The browser would ask for the address of the link as for a page.
  const file = new Blob([text], { type: "application/json" });
  byId("json", HTMLAnchorElement).href = URL.createObjectURL(file);
  show(JSON.parse(text));
} catch (error) {
  setText(
    "state",
    `Cannot read the description: ${error instanceof Error ? error.message : error}`,
  );
}

/** @param {import("./document.js").ApiDocument} document */
function show(document) {
  setText("state", `${document.info.title} ${document.info.version}`);
  for (const { title, routes } of groupRoutes(document)) {
    byId("routes").append(
      element("h2", {}, title),
      ...routes.map((route) => createCard(document, route)),
    );
  }
}

/**
 * @param {import("./document.js").ApiDocument} document
 * @param {Route} route
 */
function createCard(document, { method, path, operation }) {
  const { summary, parameters = [], requestBody, responses } = operation;
  const id = `${method} ${path}`.replace(/\W+/g, "-").toLowerCase();
  const answers = Object.entries(responses);
  const body = Object.entries(requestBody?.content ?? {});
  return element(
    "section",
    { class: "card route", "aria-labelledby": id },
    element("h3", { id }, element("span", { class: "method" }, method), " ", code(path)),
    element("p", {}, summary),
    ...paragraphs(describeAccess(document, operation)),
    ...list(
      "Parameters",
      parameters.map(({ name, in: where, required, description, schema }) => [
        code(name),
        `In the ${where}${required ? ", required" : ""}: ${describeSchema(schema)}.`,
        ...(description ? [`${description}.`] : []),
      ]),
    ),
    ...list("Body", body.map(([type, content]) => [code(type), ...contentNodes(content)])),
    ...list(
      "Answers",
      answers.map(([status, { description, content = {} }]) => [
        code(status),
        description,
        ...Object.entries(content).flatMap(([type, content]) => [
          element("span", { class: "soft" }, type),
          ...contentNodes(content),
        ]),
      ]),
    ),
  );
}

/** @param {Content} content */
function contentNodes({ schema }) {
  const text = describeSchema(schema);
  const isSimple = Object.keys(schema ?? {}).every((key) => key === "type");
  if (isSimple) return text === "" ? [] : [text];
  const json = JSON.stringify(schema, null, 2);
  return [
    element(
      "details",
      {},
      element("summary", {}, "Schema"),
      element("pre", { tabindex: "0", role: "region", "aria-label": "Schema" }, code(json)),
    ),
  ];
}

/** @param {string} text */
function paragraphs(text) {
  return text === "" ? [] : [element("p", { class: "soft" }, text)];
}

/**
 * @param {string} title
 * @param {(Node | string)[][]} entries Each is a term and what describes it.
 */
function list(title, entries) {
  if (entries.length === 0) return [];
  const items = entries.map(([term = "", ...rest]) =>
    element(
      "div",
      {},
      element("dt", {}, term),
      element("dd", {}, ...rest.flatMap((node) => [node, " "])),
    )
  );
  return [element("h4", {}, title), element("dl", {}, ...items)];
}

/** @param {string} text */
function code(text) {
  return element("code", {}, text);
}
