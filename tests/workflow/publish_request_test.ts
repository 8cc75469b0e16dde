import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { MAX_BODY_BYTES, MAX_EVENTS, MAX_PAYLOAD_BYTES } from "../../lib/protocol/event_rules.ts";
import type { SerializedEvent } from "../../lib/workflow/serialized_event.ts";
import { toRequests } from "../../lib/workflow/publish_request.ts";
import { awkwardLine, awkwardText } from "../support/generators/awkward_text.ts";
import { encodeUtf8 } from "../support/generators/text.ts";

function numbered(count: number): SerializedEvent[] {
  return Array.from({ length: count }, (_, index) => ({ channel: "c", payload: String(index) }));
}

Deno.test("toRequests() makes no request without events", () => {
  deepEqual(toRequests("p_a", []), []);
});

for (const [count, sizes] of [[MAX_EVENTS, [1000]], [MAX_EVENTS + 1, [1000, 1]]] as const) {
  Deno.test(`toRequests() puts ${count} events into requests of ${sizes}, in order`, () => {
    const requests = toRequests("p_a", numbered(count));
    deepEqual(requests.map(({ events }) => events.length), sizes);
    deepEqual(
      requests.flatMap(({ body }) => JSON.parse(body)),
      numbered(count).map((_, index) => ({ pipeline: "p_a", channel: "c", payload: index })),
    );
  });
}

/** Events whose request body has exactly `size` bytes. */
function sized(size: number, character: string): SerializedEvent[] {
  const payload = JSON.stringify(
    character.repeat(MAX_PAYLOAD_BYTES / 2 / encodeUtf8(character).length),
  );
  const event = { channel: "c", payload };
  const events = [event];
  const sizeOf = (events: SerializedEvent[]) => {
    const values = events.map(({ channel, payload }) =>
      `{"pipeline":"p_a","channel":"${channel}","payload":${payload}}`
    );
    return encodeUtf8(`[${values}]`).length;
  };
  while (sizeOf([...events, event]) < size) events.push(event);
  const last = { channel: "c", payload: '""' };
  const rest = size - sizeOf([...events, last]);
  return [...events, { channel: "c", payload: `"${"a".repeat(rest)}"` }];
}

for (const character of ["a", "€", "😀"]) {
  Deno.test(`toRequests() fills a body with ${character} up to the last byte`, () => {
    const [request, ...others] = toRequests("p_a", sized(MAX_BODY_BYTES, character));
    equal(others.length, 0);
    equal(encodeUtf8(request!.body).length, MAX_BODY_BYTES);
  });

  Deno.test(`toRequests() makes two requests for a byte more of ${character}`, () => {
    const events = sized(MAX_BODY_BYTES + 1, character);
    const requests = toRequests("p_a", events);
    deepEqual(requests.map(({ events }) => events.length), [events.length - 1, 1]);
  });
}

Deno.test("toRequests() keeps each event, in as few requests as the limits allow", () => {
  const event = fc.record({
    channel: awkwardLine,
    payload: fc.tuple(awkwardText, fc.integer({ min: 0, max: 4000 }))
      .map(([text, times]) => JSON.stringify(text.repeat(times).slice(0, 15_000))),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const requests = toRequests("p_a", events);
      deepEqual(requests.flatMap(({ events }) => events), events);
      requests.forEach(({ events, body }, index) => {
        ok(encodeUtf8(body).length <= MAX_BODY_BYTES);
        deepEqual(
          JSON.parse(body),
          events.map(({ channel, payload }) => ({
            pipeline: "p_a",
            channel,
            payload: JSON.parse(payload),
          })),
        );
        const next = requests[index + 1];
        if (!next) return;
        const first = toRequests("p_a", next.events.slice(0, 1))[0]!;
        // The brackets of the one become the comma of the other.
        ok(encodeUtf8(body).length + encodeUtf8(first.body).length - 1 > MAX_BODY_BYTES);
      });
    }),
    { numRuns: 30 },
  );
});
