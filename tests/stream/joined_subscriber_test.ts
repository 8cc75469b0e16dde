/**
 * The streams of several sources in memory.
 *
 * @module
 */

import { deepStrictEqual as deepEqual } from "node:assert/strict";
import type { AcceptedEvent } from "../../lib/protocol/event.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import type { EncodedPage } from "../../lib/stream/page_reader.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { numbers } from "../support/events.ts";
import { subscribeTo, withHistory } from "../support/subscriber_source.ts";

/** Returns events whose payloads are their sequences. */
function eventList(first: number, last: number): AcceptedEvent[] {
  return numbers(first, last).map((sequence) => {
    const payload = new TextEncoder().encode(String(sequence));
    return { sequence, time: 0, channel: "events", payload };
  });
}

function eventsOf(epoch: string, first: number, last: number): EncodedEvents {
  const events = new EncodedEvents(epoch, first - 1);
  events.append(eventList(first, last));
  return events;
}

/** Returns a source of ten events in its log, of which the newest are in memory. */
function sourceOf(id: string, epoch: string, newestInLog = 10) {
  return withHistory({
    newest: eventsOf(epoch, 9, 10),
    page: (sequence: number): Promise<EncodedPage> =>
      Promise.resolve({
        epoch,
        sequence: newestInLog,
        after: sequence,
        missed: 0,
        reason: "evicted",
        events: eventsOf(epoch, sequence + 1, newestInLog),
      }),
  }, id);
}

Deno.test("A poll has the replays of all pipelines, though a page of one has newer events than may be sent", async () => {
  const first = { ...sourceOf("p_a", "AAAAAAAAAAA", 12), visible: 10 };
  const subscriber = subscribeTo([first, sourceOf("p_b", "BBBBBBBBBBB")], {
    resume: 0,
    isPoll: true,
  });
  // Published meanwhile, and not to be sent yet.
  first.newest.append(eventList(11, 12));
  const stream = new StreamReader(subscriber.body);
  const events = await stream.events(Infinity);
  const types = events.map(({ type, data }) => type === "runnel.live" ? data : type);
  deepEqual(
    [types.filter((type) => type === "p_b/events").length, types.at(-1)],
    [10, '{"pipeline":"p_b","replayed":10}'],
  );
});
