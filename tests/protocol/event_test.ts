import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import {
  formatEventId,
  joinEventIds,
  parseEventId,
  splitEventIds,
} from "../../lib/protocol/event.ts";

const EPOCH = "AAECAwQF-_g";

Deno.test("parseEventId() returns the position that formatEventId() wrote", () => {
  const position = fc.record({
    epoch: fc.uint8Array({ minLength: 8, maxLength: 8 })
      .map((bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true })),
    sequence: fc.maxSafeNat().map((sequence) => sequence % 10 ** 15),
  }, { noNullPrototype: true });
  fc.assert(fc.property(position, (position) => {
    deepEqual(parseEventId(formatEventId(position)), position);
  }));
});

Deno.test("formatEventId() joins epoch and sequence by a hyphen", () => {
  equal(formatEventId({ epoch: EPOCH, sequence: 7 }), `${EPOCH}-7`);
});

const invalid: [name: string, text: string][] = [
  ["an empty text", ""],
  ["a number", "7"],
  ["an epoch alone", EPOCH],
  ["no sequence", `${EPOCH}-`],
  ["a negative sequence", `${EPOCH}--1`],
  ["a leading zero", `${EPOCH}-07`],
  ["a fraction", `${EPOCH}-7.5`],
  ["an exponent", `${EPOCH}-1e3`],
  ["a sequence beyond safe integers", `${EPOCH}-${2 ** 53}`],
  ["a short epoch", "AAECAwQF-_-7"],
  ["a long epoch", `A${EPOCH}-7`],
  ["an epoch in another alphabet", "AAECAwQF+/g-7"],
  ["space around", ` ${EPOCH}-7`],
  ["a line break after", `${EPOCH}-7\n`],
  ["digits of another script", `${EPOCH}-٧`],
];

for (const [name, text] of invalid) {
  Deno.test(`parseEventId() returns null for ${name}`, () => equal(parseEventId(text), null));
}

Deno.test("formatEventId() returns an ID that a browser sends across origins without a preflight", () => {
  const longest = formatEventId({ epoch: EPOCH, sequence: Number.MAX_SAFE_INTEGER });
  // CORS-safelisted: at most 128 bytes, none of the unsafe ones.
  match(longest, /^[A-Za-z0-9_-]{1,128}$/);
  match(formatEventId({ epoch: "_--_AAAAAA_", sequence: 0 }), /^[A-Za-z0-9_-]{1,128}$/);
});

Deno.test("splitEventIds() returns the event IDs that joinEventIds() joined", () => {
  const ids = [`${EPOCH}-7`, `${EPOCH}-0`, "_--_AAAAAA_-12"];
  equal(joinEventIds(ids), ids.join("."));
  deepEqual(splitEventIds(joinEventIds(ids)), ids);
  deepEqual(splitEventIds(ids[0]!), [ids[0]]);
});
