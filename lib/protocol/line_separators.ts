/**
 * Line separators of Unicode in JSON text, written as escapes.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Line separators that JSON allows inside of strings, by their first byte in UTF-8. */
const SEPARATORS = [
  { bytes: encoder.encode("\u0085"), escape: encoder.encode("\\u0085") },
  { bytes: encoder.encode("\u2028"), escape: encoder.encode("\\u2028") },
  { bytes: encoder.encode("\u2029"), escape: encoder.encode("\\u2029") },
];

/**
 * Replaces U+0085, U+2028 and U+2029 by their escapes. To the standard they are
 * ordinary characters, but clients that split a stream by Unicode's line breaks,
 * as `str.splitlines()` of Python does, would cut the data there.
 *
 * @param json Valid JSON text in UTF-8, in which they can only be inside of strings.
 * @returns The same value as JSON; `json` itself if it has none of them.
 */
export function escapeLineSeparators(json: Uint8Array): Uint8Array {
  let text = json;
  for (const { bytes, escape } of SEPARATORS) text = replaceAll(text, bytes, escape);
  return text;
}

function replaceAll(text: Uint8Array, bytes: Uint8Array, replacement: Uint8Array): Uint8Array {
  const places = [];
  for (let at = text.indexOf(bytes[0]!); at >= 0; at = text.indexOf(bytes[0]!, at + 1)) {
    // Of two bytes or three. Without a call for each: many texts are full of the first one.
    if (text[at + 1] !== bytes[1]) continue;
    if (bytes.length === 2 || text[at + 2] === bytes[2]) places.push(at);
  }
  if (places.length === 0) return text;
  const result = new Uint8Array(text.length + places.length * (replacement.length - bytes.length));
  let from = 0;
  let length = 0;
  for (const place of places) {
    const before = text.subarray(from, place);
    result.set(before, length);
    result.set(replacement, length += before.length);
    length += replacement.length;
    from = place + bytes.length;
  }
  result.set(text.subarray(from), length);
  return result;
}
