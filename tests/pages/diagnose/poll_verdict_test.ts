import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { createPollVerdict } from "../../../lib/pages/diagnose/poll_verdict.js";
import { createVerdict } from "../../../lib/pages/diagnose/verdict.js";
import { AS_SENT, AT_THE_END, DELAYED, probeResult } from "./probe_results.ts";

/** A poll that the service answered after 5 seconds, `lateMs` after which it arrived. */
function answered(lateMs: number) {
  return probeResult(() => 0, { lines: [{ line: 1, of: 1, sent: 5000, at: 5000 + lateMs }] });
}

Deno.test("createPollVerdict() says that clients can poll if the answer arrives at once", () => {
  const { works, text } = createPollVerdict(answered(40));
  equal(works, true);
  match(text, /^A long poll passes: .* answered a request after 5 seconds/);
  // A network that is slow for everything is not to blame the poll.
  const slow = { fastestMs: 1500, jitterMs: 0 };
  deepEqual([1600, 2400, 2600].map((ms) => createPollVerdict(answered(ms), slow).works), [
    true,
    true,
    false,
  ]);
});

Deno.test("createPollVerdict() says why clients cannot poll", () => {
  const failed = (failure: "cut" | "refused" | "silent", rest = {}) =>
    createPollVerdict(probeResult(() => 0, { lines: [], failure, ...rest }));
  const cut = failed("cut", { endedMs: 3100 });
  const refused = failed("refused", { status: 504 });
  const results = [createPollVerdict(answered(1200)), cut, refused, failed("silent")];
  deepEqual(results.map(({ works }) => works), [false, false, false, false]);
  const [late, ...texts] = results.map(({ text }) => text);
  match(late!, /the answer was late by 1\.2 seconds as well\.$/);
  match(texts[0]!, /does not pass either: it was cut after 3\.1 seconds\.$/);
  match(texts[1]!, /was refused with status 504\.$/);
  match(texts[2]!, /got no answer/);
});

Deno.test("createVerdict() asks for a long poll only if streams are held back", () => {
  const silent = { ...AT_THE_END, failure: "silent" as const };
  const cut = { ...AT_THE_END, failure: "cut" as const };
  deepEqual(
    [AS_SENT, DELAYED, cut, AT_THE_END, silent].map((stream) =>
      createVerdict({ stream }).holdsBack ?? false
    ),
    [false, false, false, true, true],
  );
});
