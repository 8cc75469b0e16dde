import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import {
  formatEventId,
  formatGapId,
  joinEventIds,
  MAX_PIPELINES,
  parseEventId,
  parseJoinedId,
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

Deno.test("parseJoinedId() returns the position that formatGapId() wrote, and that there is a gap", () => {
  const position = { epoch: EPOCH, sequence: 7 };
  equal(formatGapId(position), `~${EPOCH}-7`);
  deepEqual(parseJoinedId(formatGapId(position)), { position, hasGap: true });
  deepEqual(parseJoinedId(formatEventId(position)), { position, hasGap: false });
  equal(parseEventId(formatGapId(position)), null, "it is no position of a stream");
});

for (const text of ["", "~", "-", `~~${EPOCH}-7`, `${EPOCH}-7~`, `~ ${EPOCH}-7`, `~${EPOCH}`]) {
  Deno.test(`parseJoinedId() returns null for "${text}"`, () => equal(parseJoinedId(text), null));
}

Deno.test("joinEventIds() returns IDs that a browser sends across origins, as long as tickets take them", () => {
  const longest = formatGapId({ epoch: EPOCH, sequence: 10 ** 15 - 1 });
  const ids = joinEventIds(Array.from({ length: MAX_PIPELINES }, () => longest));
  // No byte that is unsafe in a header of CORS.
  match(ids, /^[A-Za-z0-9_.~-]{1,320}$/);
});
