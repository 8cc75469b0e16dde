import {
  deepStrictEqual as deepEqual,
  doesNotMatch,
  match,
  strictEqual as equal,
} from "node:assert/strict";
import { formatSeconds } from "../../../lib/pages/diagnose/failure_verdict.js";
import { createQuietVerdict } from "../../../lib/pages/diagnose/quiet_verdict.js";
import { createVerdict } from "../../../lib/pages/diagnose/verdict.js";
import {
  AFTER_A_STALL,
  AS_SENT,
  AT_THE_END,
  DELAYED,
  flushedEvery,
  probeResult,
} from "./probe_results.ts";

/** The text of a verdict. */
function textOf(...args: Parameters<typeof createVerdict>): string {
  return createVerdict(...args).text.join("\n");
}

Deno.test("createVerdict() says that events arrive as sent, in one paragraph", () => {
  const { tone, title, text, advise } = createVerdict({
    stream: AS_SENT,
    withoutHeader: AS_SENT,
    roundTrip: { fastestMs: 30, jitterMs: 5 },
  });
  deepEqual([tone, title, advise], ["good", "Events arrive as sent", false]);
  equal(text.length, 1);
});

Deno.test("createVerdict() explains X-Accel-Buffering when it makes the difference", () => {
  const stream = createVerdict({ stream: AS_SENT, withoutHeader: AT_THE_END });
  equal(stream.title, "Events arrive as sent");
  match(stream.text.join(), /respects .* X-Accel-Buffering: no.* held back for 4\.5 seconds/s);
  doesNotMatch(textOf({ stream: AS_SENT, withoutHeader: AS_SENT }), /X-Accel-Buffering/);
  const cut = { ...AT_THE_END, lines: [], failure: "cut" as const };
  doesNotMatch(textOf({ stream: AS_SENT, withoutHeader: cut }), /X-Accel-Buffering/);
});

Deno.test("createVerdict() says how long events are held back, and how large the buffer is", () => {
  const { tone, title, advise } = createVerdict({ stream: flushedEvery(2000) });
  deepEqual([tone, advise], ["bad", true]);
  equal(title, "Something on the way holds events back for about 1.5 seconds");
  match(
    textOf({ stream: flushedEvery(2000) }),
    /10 lines arrived in 3 bursts.*response buffering/,
  );
  const end = createVerdict({ stream: AT_THE_END });
  equal(end.title, "Something on the way holds events back for at least 4.5 seconds");
  match(textOf({ stream: AT_THE_END }), /All 10 lines arrived together.*response buffering/);
  const large = { bytes: 8192 };
  for (
    const [result, expected] of [
      [probeResult((sent) => sent, large), /Lines of 8 KiB arrived at once/],
      [probeResult(() => 4500, large), /Even 80 KiB were not passed on before the end/],
      [{ ...flushedEvery(1000), ...large }, /arrived in 5 bursts: the buffer holds about 16 KiB/],
    ] as const
  ) match(textOf({ stream: AT_THE_END, large: result }), expected);
});

Deno.test("createVerdict() names compression, whether it holds events back or not", () => {
  const passed = probeResult((sent) => sent, { encoding: "gzip" });
  match(textOf({ stream: passed }), /compresses .*\(gzip\).*you need not change anything/);
  const held = probeResult(() => 4500, { encoding: "br" });
  match(textOf({ stream: held }), /compressed .*\(br\).*the cause/);
});

Deno.test("createVerdict() says by how much events are delayed, and by what", () => {
  const { tone, title, text, advise, suspect } = createVerdict({
    stream: DELAYED,
    withoutHeader: DELAYED,
    roundTrip: { fastestMs: 2, jitterMs: 3 },
  });
  deepEqual([tone, advise, suspect], ["bad", true, "haproxy"]);
  equal(title, "Something on the way delays events by about 206 ms");
  match(text.join(), /one by one.*HAProxy/s);
  // A stream without a control is judged by itself.
  equal(createVerdict({ stream: DELAYED }).title, title);
});

Deno.test("createVerdict() blames nothing for delays of one stream, or of the network itself", () => {
  const one = createVerdict({ stream: DELAYED, withoutHeader: AS_SENT });
  deepEqual([one.tone, one.title], ["good", "Events arrive as sent"]);
  match(one.text.join(), /give or take 216 ms/);
  const network = createVerdict({
    stream: DELAYED,
    withoutHeader: DELAYED,
    roundTrip: { fastestMs: 80, jitterMs: 110 },
  });
  deepEqual([network.tone, network.title], ["good", "Events arrive as sent"]);
});

/** A result of a quiet probe, of which a number of lines arrived before it ended. */
const quiet = (count: number, endedMs: number, failure: "cut" | "silent" | null) => ({
  ...probeResult(() => 0),
  everyMs: 15_000,
  lines: Array.from({ length: count }, (_, i) => (
    { line: i + 1, of: 5, sent: i * 15_000, at: i * 15_000 + 40 }
  )),
  endedMs,
  failure,
});

Deno.test("createQuietVerdict() says for how long a quiet stream stays open", () => {
  const { tone, title, advise } = createQuietVerdict(quiet(5, 60_040, null));
  deepEqual([tone, title, advise], ["good", "A quiet stream stays open for 60 seconds", false]);
});

for (
  const [what, result, title, text] of [
    [
      "in the first silence",
      quiet(1, 10_040, "cut"),
      /cuts streams after 10 seconds$/,
      /Envoy.*waits for a byte for 10 seconds only/s,
    ],
    [
      "although lines arrive",
      quiet(3, 30_000, "cut"),
      /cuts streams after 30 seconds$/,
      /although lines arrived.*Envoy/s,
    ],
    ["before the first line", quiet(0, 40, "cut"), /cut before the first line/, /No line/],
    ["without an end", quiet(2, 75_000, "silent"), /went silent/, /2 of 5/],
  ] as const
) {
  Deno.test(`createQuietVerdict() explains a stream that is cut ${what}`, () => {
    const verdict = createQuietVerdict(result);
    deepEqual([verdict.tone, verdict.advise], ["bad", true]);
    match(verdict.title, title);
    match(verdict.text.join("\n"), text);
  });
}

Deno.test("createVerdict() does not take a single stall for a buffer", () => {
  const { tone, text, advise } = createVerdict({ stream: AFTER_A_STALL });
  deepEqual([tone, advise], ["unsure", false]);
  match(text.join(), /late by 1\.5 seconds.*network/s);
});

Deno.test("createVerdict() notices a stream that is late as a whole", () => {
  const stream = probeResult((sent) => sent + 3000);
  match(
    textOf({ stream, roundTrip: { fastestMs: 20, jitterMs: 5 } }),
    /first line took 3 seconds.* 20 ms/s,
  );
  doesNotMatch(textOf({ stream, roundTrip: { fastestMs: 2500, jitterMs: 5 } }), /first line/);
  doesNotMatch(textOf({ stream, roundTrip: null }), /first line/);
});

const none = { lines: [], status: 0, type: "" };
for (
  const [what, rest, title, text, advise] of [
    [
      "a missing answer",
      { ...none, failure: "unreachable" },
      /cannot be reached/,
      /running/,
      false,
    ],
    [
      "a refusal of the service",
      { ...none, failure: "refused", status: 503, detail: "Cannot take this" },
      /refused with status 503/,
      /Cannot take this.*This is temporary/s,
      false,
    ],
    [
      "a refusal of a proxy",
      { ...none, failure: "refused", status: 404 },
      /status 404/,
      /likely a proxy.*does not reconnect/s,
      false,
    ],
    [
      "an answer of another type",
      { ...none, failure: "changed", status: 200, type: "text/html" },
      /not an event stream/,
      /text\/html .*login/,
      false,
    ],
    [
      "a cut connection",
      { lines: AS_SENT.lines.slice(0, 3), endedMs: 1340, failure: "cut" },
      /cut after 1\.3 seconds$/,
      /3 of 10/,
      true,
    ],
    [
      "a connection that is cut before the first line",
      { ...none, failure: "cut" },
      /before the first line/,
      /No line/,
      true,
    ],
    [
      "a stream without lines",
      { ...none, failure: "silent" },
      /Nothing arrived/,
      /No line.*buffering/,
      true,
    ],
    [
      "a stream that goes silent",
      { lines: AS_SENT.lines.slice(0, 3), failure: "silent" },
      /silent/,
      /3 of 10/,
      true,
    ],
  ] as const
) {
  Deno.test(`createVerdict() explains ${what}`, () => {
    const verdict = createVerdict({
      stream: probeResult((sent) => sent, { ...rest, lines: [...rest.lines] }),
    });
    equal(verdict.tone, "bad");
    equal(verdict.advise, advise);
    match(verdict.title, title);
    match(verdict.text.join("\n"), text);
  });
}

Deno.test("formatSeconds() keeps one decimal below 10 seconds", () => {
  deepEqual(
    [40, 540, 960, 1000, 4500, 9940, 9960, 61_000].map(formatSeconds),
    [
      "0 seconds",
      "0.5 seconds",
      "1 second",
      "1 second",
      "4.5 seconds",
      "9.9 seconds",
      "10 seconds",
      "61 seconds",
    ],
  );
});
