// @ts-check
/**
 * JSON for people. It works on the text and builds no values: numbers, the order of keys
 * and duplicate keys are shown as sent, and a payload costs no more than its length.
 *
 * @module
 */

/** Longest array or object that stays on one line, in characters. */
const MAX_LINE = 76;

/** Number of levels with an indentation of their own: deep lines would be mostly spaces. */
const MAX_INDENT = 32;

/** A bracket, a comma, a colon, a string, or another word. A text that was cut may end in one. */
const TOKENS = /[[\]{},:]|"[^"\\]*(?:\\[^][^"\\]*)*"?|[^\s[\]{},:"]+/g;

/**
 * Lays JSON out: each object and array on one line if it is short, else on several.
 *
 * @param {string} text JSON text, or its beginning. Other text is returned unchanged.
 * @param {number} [maxLines]
 * @returns {{ text: string, lines: number }} The text, and the number of its lines. It is one more
 *   than the maximum if the text has more.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(layOutJson('{"name":"Luke","age":19}').text, '{ "name": "Luke", "age": 19 }');
 * ```
 */
export function layOutJson(text, maxLines = Infinity) {
  if (!isBracketed(text)) return { text, lines: 1 };
  const tokens = text.match(TOKENS) ?? [];
  let laidOut = "";
  let lines = 1;
  let depth = 0;
  const breakLine = () => {
    lines++;
    laidOut += `\n${"  ".repeat(Math.max(0, Math.min(depth, MAX_INDENT)))}`;
  };
  for (let index = 0; index < tokens.length && lines <= maxLines; index++) {
    const token = /** @type {string} */ (tokens[index]);
    if (isOpen(token)) {
      const short = shortLine(tokens, index);
      laidOut += short?.line ?? token;
      if (short) index = short.end;
      else depth++;
      if (!short) breakLine();
    } else if (isClose(token)) {
      depth--;
      breakLine();
      laidOut += token;
    } else {
      laidOut += token === ":" ? ": " : token;
      if (token === ",") breakLine();
    }
  }
  return { text: laidOut, lines };
}

/**
 * Returns an array or an object on one line, with the index of its last token, or `null` if
 * the line would be too long.
 *
 * @param {readonly string[]} tokens
 * @param {number} start Index of its first token.
 */
function shortLine(tokens, start) {
  let line = "";
  let depth = 0;
  for (let index = start; index < tokens.length; index++) {
    const token = /** @type {string} */ (tokens[index]);
    if (token === "}") line += line.endsWith("{ ") ? token : ` ${token}`;
    else line += token === "{" || token === "," || token === ":" ? `${token} ` : token;
    if (line.endsWith("{ }")) line = `${line.slice(0, -2)}}`;
    if (line.length > MAX_LINE) return null;
    if (isOpen(token)) depth++;
    if (isClose(token) && --depth === 0) return { line, end: index };
  }
  return null;
}

/** @param {string} text */
function isBracketed(text) {
  return /^\s*[[{]/.test(text);
}

/** @param {string} token */
function isOpen(token) {
  return token === "[" || token === "{";
}

/** @param {string} token */
function isClose(token) {
  return token === "]" || token === "}";
}

/**
 * Splits an array or an object into the texts of its items.
 *
 * @param {string} text JSON text.
 * @returns {[key: string, text: string][]} The items in order. Those of an array have the key "".
 * @throws {SyntaxError} If the text is not an array or an object that is closed.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * deepEqual(splitJson('{"id":"a-1","payload":[1.0]}'), [["id", '"a-1"'], ["payload", "[1.0]"]]);
 * ```
 */
export function splitJson(text) {
  /** @type {[key: string, text: string][]} */
  const items = [];
  let key = "";
  let depth = 0;
  let start = 0;
  const take = (/** @type {number} */ end) => {
    const item = text.slice(start, end).trim();
    start = end + 1;
    return item;
  };
  const addItem = (/** @type {number} */ end) => {
    const item = take(end);
    if (item !== "") items.push([key, item]);
  };
  // Not by a regular expression: a call for each of millions of brackets would take a second.
  for (let at = isBracketed(text) ? 0 : text.length; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') at = endOfString(text, at);
    else if (isOpen(character)) {
      if (depth++ === 0) start = at + 1;
    } else if (isClose(character)) {
      if (--depth > 0) continue;
      addItem(at);
      return items;
    } else if (depth === 1 && character === ",") addItem(at);
    else if (depth === 1 && character === ":") key = JSON.parse(take(at));
  }
  throw new SyntaxError("Expected a JSON array or object");
}

/** @param {string} text @param {number} start */
function endOfString(text, start) {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end;
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
