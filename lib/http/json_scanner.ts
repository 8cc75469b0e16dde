/**
 * Scans JSON text in bytes: finds where values end, and accepts what `JSON.parse`
 * accepts. It creates no strings and no objects, so that no choice of keys or
 * numbers makes it slow, and it does not recurse.
 *
 * A text that is not ASCII must be checked for being UTF-8 besides.
 *
 * @module
 */

import {
  fail,
  isDigit,
  MINUS,
  QUOTE,
  skipLiteral,
  skipNumber,
  skipSpace,
  skipString,
} from "./json_tokens.ts";

const COMMA = 0x2c;
const COLON = 0x3a;

/** The first bytes of an array and of an object. Each closes with the byte two places later. */
const ARRAY = 0x5b;
const OBJECT = 0x7b;
const CLOSING_OFFSET = 2;

/** A value in a text. */
export interface ScannedValue {
  /** Index of its first byte. */
  start: number;
  /** Index after its last byte. */
  end: number;
  /** Number of levels of arrays and objects inside each other. */
  depth: number;
  /** Number of bytes between its tokens: spaces, tabs and line breaks. */
  spaceBytes: number;
}

/** Scanner at a position in a text. Its methods throw a `SyntaxError` where the text is invalid. */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  /** Index of the next byte. */
  #at: number;

  /**
   * @param bytes The text, and what is before it.
   * @param start Index of the first byte of the text.
   */
  constructor(bytes: Uint8Array, start: number = 0) {
    this.#bytes = bytes;
    this.#at = start;
  }

  /** Skips space, and consumes one character if it comes next. */
  consume(char: string): boolean {
    this.#at = skipSpace(this.#bytes, this.#at);
    if (this.#bytes[this.#at] !== char.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  /** Skips space, and consumes one character. */
  expect(char: string): void {
    if (!this.consume(char)) fail(this.#at);
  }

  /** Skips space, and asserts that nothing follows. */
  expectEnd(): void {
    this.#at = skipSpace(this.#bytes, this.#at);
    if (this.#at < this.#bytes.length) fail(this.#at);
  }

  /** Skips space, and consumes a string. */
  string(): ScannedValue {
    const start = skipSpace(this.#bytes, this.#at);
    this.#at = skipString(this.#bytes, start);
    return { start, end: this.#at, depth: 0, spaceBytes: 0 };
  }

  /** Skips space, and consumes a value of any kind. */
  value(): ScannedValue {
    const value = scanValue(this.#bytes, skipSpace(this.#bytes, this.#at));
    this.#at = value.end;
    return value;
  }
}

/**
 * Returns the text of a value as it was sent, but without the space between its
 * tokens: one line.
 */
export function textOf(
  bytes: Uint8Array,
  { start, end, spaceBytes }: ScannedValue,
): Uint8Array {
  // A copy: a view would keep the whole body in memory.
  if (spaceBytes === 0) return bytes.slice(start, end);
  const text = new Uint8Array(end - start - spaceBytes);
  let length = 0;
  for (let at = start; at < end;) {
    const token = skipSpace(bytes, at);
    at = bytes[token] === QUOTE ? skipString(bytes, token) : token + 1;
    text.set(bytes.subarray(token, at), length);
    length += at - token;
  }
  return text;
}

/** Parts of a text that may come next inside a value. */
const VALUE = 0;
/** A key or a value, or the end of the array or object that was just opened. */
const FIRST = 1;
const KEY = 2;
const AFTER_KEY = 3;
const AFTER_VALUE = 4;

/** Shared by all values that are not deep: one each would be slow for 200,000 small ones. */
const shallow: Uint8Array = new Uint8Array(64);

function scanValue(bytes: Uint8Array, start: number): ScannedValue {
  /** The arrays and objects that are open, by their first byte. */
  let open = shallow;
  let levels = 0;
  let depth = 0;
  let spaceBytes = 0;
  let expected = VALUE;
  let at = start;
  do {
    const token = skipSpace(bytes, at);
    spaceBytes += token - at;
    at = token;
    const byte = at < bytes.length ? bytes[at]! : fail(at);
    if (expected === FIRST && byte !== open[levels - 1]! + CLOSING_OFFSET) {
      expected = open[levels - 1] === OBJECT ? KEY : VALUE;
    }
    if (expected === VALUE) {
      expected = AFTER_VALUE;
      if (byte === QUOTE) at = skipString(bytes, at);
      else if (byte === OBJECT || byte === ARRAY) {
        if (levels === open.length) open = grow(open);
        open[levels++] = byte;
        if (levels > depth) depth = levels;
        expected = FIRST;
        at++;
      } else if (byte === MINUS || isDigit(byte)) at = skipNumber(bytes, at);
      else at = skipLiteral(bytes, at);
    } else if (expected === KEY) {
      at = skipString(bytes, at);
      expected = AFTER_KEY;
    } else if (expected === AFTER_KEY) {
      if (byte !== COLON) fail(at);
      at++;
      expected = VALUE;
    } else if (byte === COMMA && expected === AFTER_VALUE) {
      at++;
      expected = open[levels - 1] === OBJECT ? KEY : VALUE;
    } else {
      if (byte !== open[levels - 1]! + CLOSING_OFFSET) fail(at);
      at++;
      levels--;
      expected = AFTER_VALUE;
    }
  } while (levels > 0);
  return { start, end: at, depth, spaceBytes };
}

function grow(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length * 2);
  larger.set(bytes);
  return larger;
}
