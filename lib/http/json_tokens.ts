/**
 * Tokens of JSON in bytes. Each function takes a text and the index of a token,
 * and returns the index after it. It throws a `SyntaxError` where the text is
 * invalid.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8259}
 * @module
 */

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;
const LOWER_A = 0x61;
const LOWER_E = 0x65;
const LOWER_F = 0x66;
const LOWER_U = 0x75;

/** Byte that begins a string. */
export const QUOTE = 0x22;

/** Byte that may begin a number, as a digit may. */
export const MINUS = 0x2d;

/** Bit that makes a capital letter a small one. */
const CASE_BIT = 0x20;

/** Characters that may follow a backslash in a string, besides `u` and four digits. */
const ESCAPES: readonly number[] = [...'"\\/bfnrt'].map((char) => char.charCodeAt(0));

/** The literals, by their first byte. */
const LITERALS: ReadonlyMap<number, Uint8Array> = new Map(
  ["true", "false", "null"].map((text) => [text.charCodeAt(0), new TextEncoder().encode(text)]),
);

/** Skips spaces, tabs and line breaks. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && isSpace(bytes[at]!)) at++;
  return at;
}

/** Skips a string with its quotes. */
export function skipString(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE) fail(at);
  while (++at < bytes.length) {
    const byte = bytes[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at = skipEscape(bytes, at + 1);
    else if (byte < SPACE) break;
  }
  return fail(at);
}

/** Returns the index of the last byte of an escape, of which the backslash was skipped. */
function skipEscape(bytes: Uint8Array, at: number): number {
  const kind = bytes[at]!;
  if (kind !== LOWER_U) return ESCAPES.includes(kind) ? at : fail(at);
  const last = at + 4;
  while (at < last) if (!isHexDigit(bytes[++at]!)) fail(at);
  return last;
}

/** Skips a number. */
export function skipNumber(bytes: Uint8Array, at: number): number {
  if (bytes[at] === MINUS) at++;
  // A zero is followed by no other digit.
  at = bytes[at] === ZERO ? at + 1 : skipDigits(bytes, at);
  if (bytes[at] === POINT) at = skipDigits(bytes, at + 1);
  if ((bytes[at]! | CASE_BIT) === LOWER_E) {
    const sign = bytes[++at];
    at = skipDigits(bytes, sign === PLUS || sign === MINUS ? at + 1 : at);
  }
  return at;
}

/** Skips one digit or more. */
function skipDigits(bytes: Uint8Array, at: number): number {
  const start = at;
  while (at < bytes.length && isDigit(bytes[at]!)) at++;
  return at > start ? at : fail(at);
}

/** Skips `true`, `false` or `null`. */
export function skipLiteral(bytes: Uint8Array, at: number): number {
  for (const byte of LITERALS.get(bytes[at]!) ?? fail(at)) if (bytes[at++] !== byte) fail(at - 1);
  return at;
}

/** Error of a text that is no JSON, with the index of the first byte that is not. */
export class JsonError extends SyntaxError {
  /** Creates an error for the byte at an index. */
  constructor(readonly at: number) {
    super(`Cannot read JSON: it is invalid at byte ${at}`);
  }
}

/** Refuses the byte at an index. */
export function fail(at: number): never {
  throw new JsonError(at);
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

/** Whether a byte is a decimal digit. */
export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isHexDigit(byte: number): boolean {
  const letter = byte | CASE_BIT;
  return isDigit(byte) || letter >= LOWER_A && letter <= LOWER_F;
}
