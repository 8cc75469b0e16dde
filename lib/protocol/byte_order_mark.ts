/**
 * The byte order mark of UTF-8.
 *
 * @module
 */

/** Removes a byte order mark at the start of a text, to which it does not belong. */
export function withoutByteOrderMark(text: Uint8Array): Uint8Array {
  const isMarked = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf;
  return isMarked ? text.subarray(3) : text;
}
