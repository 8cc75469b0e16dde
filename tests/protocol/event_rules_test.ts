import { strictEqual as equal } from "node:assert/strict";
import {
  isDeeperThan,
  MAX_CHANNEL_LENGTH,
  MAX_PAYLOAD_DEPTH,
  validateChannel,
  validatePipelineId,
} from "../../lib/protocol/event_rules.ts";
import { nest } from "../support/generators/hostile_json.ts";

Deno.test("validatePipelineId() counts p_ as part of the ID", () => {
  equal(validatePipelineId("p_aBcDeF"), null);
  equal(validatePipelineId(`p_${"a".repeat(62)}`), null);
  for (const id of ["p_", `p_${"a".repeat(63)}`, "p_a b", "P_a"]) {
    equal(validatePipelineId(id), "expected p_ followed by 1 to 62 letters, digits, _ or -");
  }
  equal(validatePipelineId("aBcDeF"), "expected p_ followed by 1 to 62 letters, digits, _ or -");
});

Deno.test("validateChannel() returns the rule that an invalid channel violates", () => {
  const problems: [channel: string, problem: string | null][] = [
    ["events", null],
    ["é".repeat(MAX_CHANNEL_LENGTH), null],
    ["", "expected 1 to 128 characters"],
    ["a".repeat(MAX_CHANNEL_LENGTH + 1), "expected 1 to 128 characters"],
    ["a\nb", "expected well-formed text without control characters"],
    ["\ud800", "expected well-formed text without control characters"],
    ["runnel.live", "expected a name that does not start with runnel."],
    ["error", "expected a name other than error and open, which EventSource uses"],
    ["open", "expected a name other than error and open, which EventSource uses"],
  ];
  for (const [channel, problem] of problems) equal(validateChannel(channel), problem);
});

Deno.test("isDeeperThan() counts only arrays and objects inside each other", () => {
  equal(isDeeperThan(0, "text"), false);
  equal(isDeeperThan(0, null), false);
  equal(isDeeperThan(1, { a: 1, b: "text", c: null }), false);
  equal(isDeeperThan(1, { a: 1, b: [] }), true);
  equal(isDeeperThan(MAX_PAYLOAD_DEPTH, nest(MAX_PAYLOAD_DEPTH)), false);
  equal(isDeeperThan(MAX_PAYLOAD_DEPTH, nest(MAX_PAYLOAD_DEPTH + 1)), true);
});
