/**
 * Texts that break code which was only tested with plain ones.
 *
 * @module
 */

import fc from "fast-check";

/** Random text, in which characters that break formats are far more frequent than by chance. */
export const awkwardText: fc.Arbitrary<string> = textOfParts([
  ..."\r\n\0 :\t\x85\u2028\u2029\ufeffé€",
  "\r\n",
  "😀",
  "\ud800",
  "\udc00",
  "data: x",
  "\nid: 1",
  "\n\n",
]);

/** Like the other, without line breaks and NUL: valid for an ID, a type or a comment. */
export const awkwardLine: fc.Arbitrary<string> = awkwardText
  .map((text) => text.replace(/[\r\n\0]/g, ""));

function textOfParts(parts: string[]): fc.Arbitrary<string> {
  const part = fc.oneof(fc.constantFrom(...parts), fc.string({ unit: "binary", maxLength: 4 }));
  return fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
}
