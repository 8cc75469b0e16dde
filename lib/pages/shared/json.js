// @ts-check
/**
 * JSON for people: laid out, and with its numbers exactly as sent.
 *
 * @module
 */

/** Longest value that stays on one line, in characters. */
const MAX_LINE = 76;

/**
 * The `JSON` functions that TypeScript's library does not declare yet, and some browsers lack.
 *
 * @type {{ rawJSON?: (text: string) => unknown, isRawJSON?: (value: unknown) => boolean }}
 */
const sourceJson = /** @type {object} */ (JSON);

/**
 * Reviver that keeps the digits of a number which JavaScript would change, if the browser can.
 *
 * @param {string} _key
 * @param {unknown} value
 * @param {{ source?: string }} [context]
 */
function keepDigits(_key, value, context) {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || String(value) === source) return value;
  return sourceJson.rawJSON?.(source) ?? value;
}

/**
 * Parses JSON so that `JSON.stringify()` writes the same numbers.
 *
 * @param {string} text
 * @returns {unknown}
 * @throws {SyntaxError} If the text is invalid.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(JSON.stringify(parseJson("[12345678901234567890]")), "[12345678901234567890]");
 * ```
 */
export function parseJson(text) {
  return JSON.parse(text, keepDigits);
}

/**
 * Lays JSON out: each object and array on one line if it is short, else on several.
 *
 * @param {string} text JSON text. Any other text is returned unchanged.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(formatJson('{"name":"Luke","age":19}'), '{ "name": "Luke", "age": 19 }');
 * ```
 */
export function formatJson(text) {
  try {
    return layOut(parseJson(text), "");
  } catch {
    return text;
  }
}

/** @param {unknown} value @param {string} indent @returns {string} */
function layOut(value, indent) {
  if (typeof value !== "object" || value === null || sourceJson.isRawJSON?.(value)) {
    return JSON.stringify(value);
  }
  const inner = `${indent}  `;
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((item) => layOut(item, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${layOut(item, inner)}`);
  const [open, close] = isList ? ["[", "]"] : ["{", "}"];
  if (parts.length === 0) return open + close;
  const line = isList ? `[${parts.join(", ")}]` : `{ ${parts.join(", ")} }`;
  if (line.length <= MAX_LINE && !line.includes("\n")) return line;
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
}

/**
 * Splits laid-out JSON into its tokens, for syntax coloring. Their texts together are the text.
 *
 * @param {string} text JSON text.
 * @returns {{ kind: "key" | "string" | "number" | "word" | "mark", text: string }[]}
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * deepEqual(tokenizeJson('{"a":1}').map(({ kind }) => kind), [
 *   "mark",
 *   "key",
 *   "mark",
 *   "number",
 *   "mark",
 * ]);
 * ```
 */
export function tokenizeJson(text) {
  const tokens = [];
  const pattern =
    /("(?:[^"\\]|\\.)*")(?=(\s*:)?)|(-?\d[\d.eE+-]*)|(true|false|null)|[^"\d\-tfn]+|[^]/g;
  for (const [match, string, colon, number, word] of text.matchAll(pattern)) {
    /** @type {"key" | "string" | "number" | "word" | "mark"} */
    let kind = "mark";
    if (string) kind = colon ? "key" : "string";
    else if (number) kind = "number";
    else if (word) kind = "word";
    tokens.push({ kind, text: match });
  }
  return tokens;
}
