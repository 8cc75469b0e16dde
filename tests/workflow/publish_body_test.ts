import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { MAX_BODY_BYTES, MAX_EVENTS, MAX_PAYLOAD_BYTES } from "../../lib/protocol/event_rules.ts";
import type { CapturedEvent } from "../../lib/workflow/captured_event.ts";
import { toBatches } from "../../lib/workflow/publish_body.ts";
import { awkwardLine, awkwardText } from "../support/awkward.ts";
import { utf8 } from "../support/text.ts";

function numbered(count: number): CapturedEvent[] {
  return Array.from({ length: count }, (_, index) => ({ channel: "c", payload: String(index) }));
}

Deno.test("toBatches() makes no request of no events", () => {
  deepEqual(toBatches("p_a", []), []);
});

for (const [count, sizes] of [[MAX_EVENTS, [1000]], [MAX_EVENTS + 1, [1000, 1]]] as const) {
  Deno.test(`toBatches() puts ${count} events into requests of ${sizes}, in order`, () => {
    const batches = toBatches("p_a", numbered(count));
    deepEqual(batches.map(({ events }) => events.length), sizes);
    deepEqual(
      batches.flatMap(({ body }) => JSON.parse(body)),
      numbered(count).map((_, index) => ({ pipeline: "p_a", channel: "c", payload: index })),
    );
  });
}

/** Events whose body has exactly `size` bytes. */
function sized(size: number, character: string): CapturedEvent[] {
  const payload = JSON.stringify(character.repeat(MAX_PAYLOAD_BYTES / 2 / utf8(character).length));
  const event = { channel: "c", payload };
  const events = [event];
  const sizeOf = (events: CapturedEvent[]) => {
    const values = events.map(({ channel, payload }) =>
      `{"pipeline":"p_a","channel":"${channel}","payload":${payload}}`
    );
    return utf8(`[${values}]`).length;
  };
  while (sizeOf([...events, event]) < size) events.push(event);
  const last = { channel: "c", payload: '""' };
  const rest = size - sizeOf([...events, last]);
  return [...events, { channel: "c", payload: `"${"a".repeat(rest)}"` }];
}

for (const character of ["a", "€", "😀"]) {
  Deno.test(`toBatches() fills a request with ${character} up to the last byte`, () => {
    const [batch, ...others] = toBatches("p_a", sized(MAX_BODY_BYTES, character));
    equal(others.length, 0);
    equal(utf8(batch!.body).length, MAX_BODY_BYTES);
  });

  Deno.test(`toBatches() makes two requests of ${character} for one byte more`, () => {
    const events = sized(MAX_BODY_BYTES + 1, character);
    const batches = toBatches("p_a", events);
    deepEqual(batches.map((batch) => batch.events.length), [events.length - 1, 1]);
  });
}

Deno.test("toBatches() keeps every event, within the limits and in no more requests than needed", () => {
  const event = fc.record({
    channel: awkwardLine,
    payload: fc.tuple(awkwardText, fc.integer({ min: 0, max: 4000 }))
      .map(([text, times]) => JSON.stringify(text.repeat(times).slice(0, 15_000))),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const batches = toBatches("p_a", events);
      deepEqual(batches.flatMap((batch) => batch.events), events);
      batches.forEach(({ events, body }, index) => {
        ok(utf8(body).length <= MAX_BODY_BYTES);
        deepEqual(
          JSON.parse(body),
          events.map(({ channel, payload }) => ({
            pipeline: "p_a",
            channel,
            payload: JSON.parse(payload),
          })),
        );
        const next = batches[index + 1];
        if (!next) return;
        const first = toBatches("p_a", next.events.slice(0, 1))[0]!;
        // The brackets of the one become the comma of the other.
        ok(utf8(body).length + utf8(first.body).length - 1 > MAX_BODY_BYTES);
      });
    }),
    { numRuns: 30 },
  );
});
