/**
 * The bytes of streams of several pipelines, and who shares them.
 *
 * @module
 */

import {
  deepStrictEqual as deepEqual,
  notStrictEqual,
  ok,
  strictEqual as equal,
} from "node:assert/strict";
import fc from "fast-check";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import type { Position } from "../../lib/protocol/event.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import { formsOf, type StreamForm } from "../../lib/stream/stream_form.ts";
import { EVENT_STREAM, JSON_LINES } from "../../lib/stream/syntax.ts";
import { numbers } from "../support/events.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";

const ALL = new ChannelFilter([]);

const EPOCHS: Record<string, string> = {
  p_a: "AAAAAAAAAAA",
  p_b: "BBBBBBBBBBB",
  p_c: "CCCCCCCCCCC",
};

/** Returns the events of a pipeline that end with a sequence. */
function eventsOf(pipeline: string, last: number): EncodedEvents {
  const events = new EncodedEvents(EPOCHS[pipeline]!, 0);
  events.append(
    numbers(1, last).map((sequence) => ({
      sequence,
      time: 0,
      channel: sequence % 2 ? "odd" : "even",
      payload: encodeUtf8(`"the ${sequence}th"`),
      ...sequence % 3 ? {} : { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
    })),
  );
  return events;
}

/** A stream of pipelines, and where it is in each of them. */
interface JoinedState {
  pipelines: string[];
  positions: { state: "new" | "reached" | "gap"; sequence: number }[];
  isLines: boolean;
  traces: boolean;
}

/** Returns the forms of a stream. */
function formsAt({ pipelines, positions, isLines, traces }: JoinedState): StreamForm[] {
  const syntax = isLines ? JSON_LINES : EVENT_STREAM;
  const forms = formsOf(pipelines, { syntax, traces, joined: true });
  forms.forEach((form, index) => {
    const { state, sequence } = positions[index]!;
    const position: Position = { epoch: EPOCHS[pipelines[index]!]!, sequence };
    if (state === "reached") form.reached({ position });
    if (state === "gap") form.hasGap(position);
    // A place that is known has to change when another pipeline moves.
    void form.key;
  });
  return forms;
}

/** Returns the form of the first pipeline of a stream that has reached sequences. */
function formAt(sequences: Record<string, number>, isLines = false): StreamForm {
  const positions = Object.values(sequences)
    .map((sequence) => ({ state: "reached" as const, sequence }));
  return formsAt({ pipelines: Object.keys(sequences), positions, isLines, traces: false })[0]!;
}

for (const isLines of [false, true]) {
  const syntax = isLines ? "lines" : "an event stream";
  Deno.test(`Joined streams at the same positions get the very same bytes, as ${syntax}`, () => {
    const events = eventsOf("p_a", 9);
    for (const last of [1, 9]) {
      // They may be anywhere in the pipeline whose events they get.
      const [one, other] = [0, 5].map((first) => formAt({ p_a: first, p_b: 7 }, isLines));
      const { bytes } = events.chunkAfter(0, last, ALL, one);
      equal(events.chunkAfter(0, last, ALL, other).bytes, bytes);
    }
  });
}

Deno.test("Joined streams share a replay with its marker, and read a mark of their own", () => {
  const events = eventsOf("p_a", 9);
  const replay = events.replayAfter(2, 9, ALL, formAt({ p_a: 0, p_b: 7 }));
  equal(events.replayAfter(2, 9, ALL, formAt({ p_a: 0, p_b: 7 })), replay);
  ok(
    decodeUtf8(replay.bytes).endsWith(
      'data: {"pipeline":"p_a","replayed":7}\nid: AAAAAAAAAAA-9.BBBBBBBBBBB-7\n\n',
    ),
  );
  notStrictEqual(events.replayAfter(2, 9, ALL, formAt({ p_a: 0, p_b: 8 })), replay);
});

Deno.test("A joined stream gets other bytes as soon as another one of its pipelines moves", () => {
  const events = eventsOf("p_a", 9);
  const forms = formsAt({
    pipelines: ["p_b", "p_a"],
    positions: [{ state: "reached", sequence: 7 }, { state: "new", sequence: 0 }],
    isLines: false,
    traces: false,
  });
  const read = () => decodeUtf8(events.chunkAfter(8, 9, ALL, forms[1]).bytes);
  ok(read().endsWith("\nid: BBBBBBBBBBB-7.AAAAAAAAAAA-9\n\n"));
  forms[0]!.reached({ position: { epoch: "BBBBBBBBBBB", sequence: 8 } });
  ok(read().endsWith("\nid: BBBBBBBBBBB-8.AAAAAAAAAAA-9\n\n"));
});

/** Returns the ID that an event of `p_a` has on a stream. */
function idOf({ pipelines, positions }: JoinedState, own: number): string {
  const ids = pipelines.flatMap((pipeline, index) => {
    const { state, sequence } = positions[index]!;
    if (pipeline === "p_a") return `${EPOCHS[pipeline]}-${own}`;
    if (state === "new") return [];
    return `${state === "gap" ? "~" : ""}${EPOCHS[pipeline]}-${sequence}`;
  });
  return ids.join(".");
}

/** Returns the IDs of the events and markers in the bytes of a stream. */
function idsIn(text: string): string[] {
  return [...text.matchAll(/^(?:id: |{"id":")([^"\n]+)/mg)].map(([, id]) => id!);
}

/** Returns their sequences in `p_a`. */
function sequencesIn(text: string): number[] {
  return idsIn(text).map((id) => Number(/AAAAAAAAAAA-([0-9]+)/.exec(id)![1]));
}

const joinedState: fc.Arbitrary<JoinedState> = fc.record({
  pipelines: fc.shuffledSubarray(["p_a", "p_b", "p_c"], { minLength: 1 })
    .filter((pipelines) => pipelines.includes("p_a")),
  positions: fc.tuple(
    ...Array(3).fill(0).map(() =>
      fc.record({
        state: fc.constantFrom("new" as const, "reached" as const, "gap" as const),
        sequence: fc.integer({ min: 0, max: 2 }),
      })
    ),
  ),
  isLines: fc.boolean(),
  traces: fc.boolean(),
});

Deno.test("Joined streams that share their chunks get what each would get alone", () => {
  const read = fc.record({
    stream: joinedState,
    cursor: fc.integer({ min: 0, max: 3 }),
    until: fc.integer({ min: 4, max: 6 }),
    channels: fc.constantFrom([], ["odd"]),
    isReplay: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(read, { minLength: 1, maxLength: 40 }), (reads) => {
      const shared = eventsOf("p_a", 6);
      for (const { stream, cursor, until, channels, isReplay } of reads) {
        const form = formsAt(stream)[stream.pipelines.indexOf("p_a")]!;
        const place = [cursor, until, new ChannelFilter(channels), form] as const;
        const [text, alone] = [shared, eventsOf("p_a", 6)].map((events) =>
          decodeUtf8((isReplay ? events.replayAfter(...place) : events.chunkAfter(...place)).bytes)
        );
        equal(text, alone);
        deepEqual(idsIn(text!), sequencesIn(text!).map((sequence) => idOf(stream, sequence)));
        // No part of an ID is of a pipeline that the stream has not.
        for (const [id, epoch] of Object.entries(EPOCHS)) {
          ok(stream.pipelines.includes(id) || !text!.includes(epoch), `${id} in ${text}`);
        }
      }
    }),
  );
});

Deno.test("Joined streams at many positions keep no more memory than the events take", () => {
  const events = eventsOf("p_a", 4);
  const forms = numbers(0, 1000).map((sequence) =>
    formAt({ p_a: 0, p_b: sequence, p_c: sequence })
  );
  const chunks = forms.map((form) => events.chunkAfter(0, 4, ALL, form));
  let kept = 0;
  while (events.chunkAfter(0, 4, ALL, forms.at(-1 - kept)!) === chunks.at(-1 - kept)) kept++;
  ok(kept > 0 && kept < events.bytes / 1024, `${kept}`);
});
