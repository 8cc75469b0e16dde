// @ts-check
/**
 * The parts of an OpenAPI document that the page of the API shows.
 *
 * @module
 */

/** @typedef {{ schema?: Record<string, unknown> }} Content */

/**
 * A route with one method.
 *
 * @typedef {object} Operation
 * @property {string} summary
 * @property {{ name: string, in: string, required?: boolean, description?: string,
 *   schema?: Record<string, unknown> }[]} [parameters]
 * @property {{ content: Record<string, Content> }} [requestBody]
 * @property {Record<string, { description: string, content?: Record<string, Content> }>} responses
 * @property {Record<string, string[]>[]} [security]
 */

/**
 * An OpenAPI document.
 *
 * @typedef {object} ApiDocument
 * @property {{ title: string, version: string }} info
 * @property {Record<string, Record<string, Operation>>} paths
 * @property {{ securitySchemes?: Record<string, { description?: string }> }} [components]
 */

/** @typedef {{ method: string, path: string, operation: Operation }} Route */

/** Titles of groups, by the first segment of their paths. */
const TITLES = new Map([["ingest", "Publish"], ["pipelines", "Subscribe and manage"]]);
const OTHERS = "Pages and health";

/**
 * Groups the routes: to publish, to subscribe, and others.
 *
 * @param {Pick<ApiDocument, "paths">} document
 * @returns {{ title: string, routes: Route[] }[]}
 */
export function groupRoutes({ paths }) {
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    }))
  );
  return [...TITLES.values(), OTHERS].map((title) => ({
    title,
    routes: routes.filter(({ path }) => (TITLES.get(path.split("/")[1] ?? "") ?? OTHERS) === title),
  }));
}

/**
 * Describes in a sentence who may use an operation.
 *
 * @param {Pick<ApiDocument, "components">} document
 * @param {Operation} operation
 * @returns {string} "" for everyone.
 */
export function describeAccess({ components }, { security = [] }) {
  const ways = security.flatMap((scheme) => Object.keys(scheme)).map((name) =>
    components?.securitySchemes?.[name]?.description ?? name
  );
  return ways.length === 0
    ? ""
    : `Needs ${ways.length > 1 ? "one of these" : "this"}: ${ways.join("; ")}.`;
}

/**
 * Describes a schema in a few words.
 *
 * @param {Record<string, unknown>} [schema]
 * @returns {string}
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(describeSchema({ type: "string", pattern: "^p_" }), "string that matches ^p_");
 * equal(describeSchema({ enum: ["0", "1"] }), "one of 0, 1");
 * ```
 */
export function describeSchema(schema = {}) {
  const { type, enum: values, pattern, maxItems, items } = schema;
  if (Array.isArray(values)) return `one of ${values.join(", ")}`;
  if (items && typeof items === "object") {
    return `${maxItems ? `up to ${maxItems}` : "list"} of: ${
      describeSchema(/** @type {Record<string, unknown>} */ (items))
    }`;
  }
  const name = Array.isArray(type) ? type.join(" or ") : String(type ?? "");
  return pattern ? `${name} that matches ${pattern}` : name;
}
