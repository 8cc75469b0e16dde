/**
 * Texts that are fit for a log: short, on one line and without secrets.
 *
 * @module
 */

/** Maximum length of a text, in UTF-16 code units: a path can have 64 KiB. */
const MAX_LENGTH = 2000;

/**
 * Secrets that errors of the runtime and of packages may quote, with what is left of them:
 * passwords in URLs, tickets and tokens in queries, bearer tokens, and JSON Web Tokens.
 */
const SECRETS: readonly [pattern: RegExp, rest: string][] = [
  [/(\b[a-z][\w+.-]*:\/\/)[^\s/@"']+@/gi, "$1…@"],
  [/([?&](?:ticket|token|access_token)=)[^\s&"')]+/gi, "$1…"],
  [/(\bBearer\s+)[^\s"',]+/gi, "$1…"],
  [/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, "…"],
];

/**
 * Returns a text without the secrets that can be told from other text by their form.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(redact("GET https://me:word@host/a?ticket=abc failed"), "GET https://…@host/a?ticket=… failed");
 * ```
 */
export function redact(text: string): string {
  // Most lines have none of them.
  if (!/:\/\/|=|bearer|eyJ/i.test(text)) return text;
  return SECRETS.reduce((text, [pattern, rest]) => text.replace(pattern, rest), text);
}

/** Cuts off a text that is too long. */
export function shorten(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}

/** Escapes control characters: a path or a cause may contain what a client sent. */
export function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Returns an error and its chain of causes on one line. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const text = `${cause.name}: ${cause.message}`;
  return cause.cause === undefined ? text : `${text} (${describeCause(cause.cause)})`;
}
