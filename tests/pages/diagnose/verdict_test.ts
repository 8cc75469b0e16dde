import {
  deepStrictEqual as deepEqual,
  doesNotMatch,
  match,
  strictEqual as equal,
} from "node:assert/strict";
import {
  classifyArrivals,
  createVerdict,
  formatSeconds,
  measureDelays,
} from "../../../lib/pages/diagnose/verdict.js";

type ProbeResult = Parameters<typeof createVerdict>[0]["stream"];

/** What is seen of a stream whose lines, 500 ms apart, arrive as `arrive` says. */
function seen(
  arrive: (sent: number, line: number) => number,
  rest: Partial<ProbeResult> = {},
): ProbeResult {
  const lines = Array.from({ length: 10 }, (_, i) => ({
    line: i + 1,
    of: 10,
    sent: i * 500,
    at: arrive(i * 500, i),
  }));
  return {
    everyMs: 500,
    bytes: 0,
    lines,
    failure: null,
    status: 200,
    detail: "",
    type: "text/event-stream",
    encoding: "",
    proxies: "",
    protocol: "h2",
    ...rest,
  };
}

const AS_SENT = seen((sent) => sent + 40);
const AT_THE_END = seen(() => 4540);
/** As something does that lets go every `ms` milliseconds. */
const every = (ms: number) => seen((sent) => Math.ceil((sent + 1) / ms) * ms);

/** A verdict's text. */
function said(...args: Parameters<typeof createVerdict>): string {
  return createVerdict(...args).text.join("\n");
}

Deno.test("measureDelays() measures against the fastest line, whatever the clocks and the distance", () => {
  deepEqual(measureDelays(AS_SENT.lines), Array(10).fill(0));
  deepEqual(measureDelays(seen((sent) => sent + 3_600_000).lines), Array(10).fill(0));
  deepEqual(measureDelays(AT_THE_END.lines), [
    4500,
    4000,
    3500,
    3000,
    2500,
    2000,
    1500,
    1000,
    500,
    0,
  ]);
});

for (
  const [what, sighting, expected] of [
    ["lines as sent", AS_SENT, { kind: "live", heldMs: 0, bursts: 10 }],
    ["jitter", seen((sent, i) => sent + (i * 71) % 200), { kind: "live", heldMs: 168, bursts: 10 }],
    ["all at the end", AT_THE_END, { kind: "end", heldMs: 4500, bursts: 1 }],
    ["all at the end, in two reads", seen((_, i) => 4540 + i), {
      kind: "end",
      heldMs: 4491,
      bursts: 1,
    }],
    ["a flush every second", every(1000), { kind: "held", heldMs: 500, bursts: 5 }],
    ["a flush every two seconds", every(2000), { kind: "held", heldMs: 1500, bursts: 3 }],
    [
      "each line with the next",
      seen((sent) => Math.min(sent + 500, 4500)),
      { kind: "held", heldMs: 500, bursts: 9 },
    ],
    [
      "one stall",
      seen((sent) => sent >= 1000 && sent < 2500 ? 2500 : sent),
      { kind: "unsteady", heldMs: 1500, bursts: 7 },
    ],
  ] as const
) {
  Deno.test(`classifyArrivals() finds ${expected.kind}: ${what}`, () => {
    deepEqual(classifyArrivals(sighting), expected);
  });
}

Deno.test("createVerdict() says that events arrive as sent, and no more", () => {
  const { tone, title, text, advise } = createVerdict({
    stream: AS_SENT,
    unasked: AS_SENT,
    roundTripMs: 30,
  });
  deepEqual([tone, title, advise], ["good", "Events arrive as sent", false]);
  equal(text.length, 1);
});

Deno.test("createVerdict() says that a proxy heeds our header where the same stream without it is held", () => {
  const stream = createVerdict({ stream: AS_SENT, unasked: AT_THE_END });
  equal(stream.title, "Events arrive as sent");
  match(stream.text.join(), /heeds .* X-Accel-Buffering: no.* held back for 4\.5 seconds/s);
  doesNotMatch(said({ stream: AS_SENT, unasked: AS_SENT }), /X-Accel-Buffering/);
  const cut = { ...AT_THE_END, lines: [], failure: "cut" as const };
  doesNotMatch(said({ stream: AS_SENT, unasked: cut }), /X-Accel-Buffering/);
});

Deno.test("createVerdict() says for how long events are held back, and what it takes to let them go", () => {
  const { tone, title, advise } = createVerdict({ stream: every(2000) });
  deepEqual([tone, advise], ["bad", true]);
  equal(title, "Something on the way holds events back for about 1.5 seconds");
  match(said({ stream: every(2000) }), /10 lines arrived in 3 bursts.*response buffering/);
  const end = createVerdict({ stream: AT_THE_END });
  equal(end.title, "Something on the way holds events back for at least 4.5 seconds");
  match(said({ stream: AT_THE_END }), /All 10 lines arrived together.*response buffering/);
  const large = { bytes: 8192 };
  for (
    const [sighting, expected] of [
      [seen((sent) => sent, large), /Lines of 8 KiB came through at once/],
      [seen(() => 4500, large), /Even 80 KiB did not make it let go/],
      [{ ...every(1000), ...large }, /let go 5 times: the buffer takes about 16 KiB/],
    ] as const
  ) match(said({ stream: AT_THE_END, large: sighting }), expected);
});

Deno.test("createVerdict() names compression, whether it holds events back or not", () => {
  match(said({ stream: seen((sent) => sent, { encoding: "gzip" }) }), /compresses .*\(gzip\)/);
  match(said({ stream: seen(() => 4500, { encoding: "br" }) }), /compressed .*\(br\).*the cause/);
});

Deno.test("createVerdict() does not take one stall for a buffer", () => {
  const { tone, text, advise } = createVerdict({
    stream: seen((sent) => sent >= 1000 && sent < 2500 ? 2500 : sent),
  });
  deepEqual([tone, advise], ["unsure", false]);
  match(text.join(), /late by 1\.5 seconds.*network/s);
});

Deno.test("createVerdict() notices a stream that is late as a whole", () => {
  const stream = seen((sent) => sent + 3000);
  match(said({ stream, roundTripMs: 20 }), /first line took 3 seconds.* 20 ms/s);
  doesNotMatch(said({ stream, roundTripMs: 2500 }), /first line/);
  doesNotMatch(said({ stream, roundTripMs: null }), /first line/);
});

const none = { lines: [], status: 0, type: "" };
for (
  const [what, rest, title, text, advise] of [
    ["no answer", { ...none, failure: "unreachable" }, /cannot be reached/, /running/, false],
    [
      "a refusal of the service",
      { ...none, failure: "refused", status: 503, detail: "Cannot take this" },
      /refused with status 503/,
      /Cannot take this.*This passes/s,
      false,
    ],
    [
      "a refusal of a proxy",
      { ...none, failure: "refused", status: 404 },
      /status 404/,
      /likely a proxy.*does not come back/s,
      false,
    ],
    [
      "another answer",
      { ...none, failure: "changed", status: 200, type: "text/html" },
      /not an event stream/,
      /text\/html .*log in/,
      false,
    ],
    [
      "a cut",
      { lines: AS_SENT.lines.slice(0, 3), failure: "cut" },
      /cut after 1 second$/,
      /3 of 10/,
      true,
    ],
    ["a cut before all", { ...none, failure: "cut" }, /before the first line/, /No line/, true],
    ["nothing", { ...none, failure: "silent" }, /Nothing arrived/, /No line.*buffering/, true],
    ["silence", { lines: AS_SENT.lines.slice(0, 3), failure: "silent" }, /silent/, /3 of 10/, true],
  ] as const
) {
  Deno.test(`createVerdict() explains ${what}`, () => {
    const verdict = createVerdict({
      stream: seen((sent) => sent, { ...rest, lines: [...rest.lines] }),
    });
    equal(verdict.tone, "bad");
    equal(verdict.advise, advise);
    match(verdict.title, title);
    match(verdict.text.join("\n"), text);
  });
}

Deno.test("formatSeconds() rounds to what matters", () => {
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
