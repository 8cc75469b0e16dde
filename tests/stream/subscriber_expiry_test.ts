import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import type { Expiry } from "../../lib/stream/subscriber_source.ts";
import type { Subscriber } from "../../lib/stream/subscriber.ts";
import { textEvent } from "../support/log.ts";
import { flush } from "../support/wait.ts";
import { subscribeTo, withHistory } from "../support/subscriber_source.ts";

const EPOCH = "AAECAwQFBgc";

/** Creates a subscriber of a tail with three events, the last one in another channel. */
function createSubscriber(options: { endsAt?: number; expiresAt?: number } = {}): Subscriber {
  const newest = new EncodedEvents(EPOCH, 0);
  newest.append(
    ["a", "a", "b"].map((channel, index) => ({
      ...textEvent(`${index + 1}`, channel),
      sequence: index + 1,
      time: 0,
    })),
  );
  const page = () => Promise.reject(new Error("nothing is behind the tail"));
  return subscribeTo(withHistory({ newest, page }), options);
}

/** Reads the rest of a stream as text. */
async function textOf({ body }: Subscriber): Promise<string> {
  return await new Response(body).text();
}

const expired = (reason: Expiry) => `event: runnel.expired\ndata: {"reason":"${reason}"}\n\n`;
const LIVE = `event: runnel.live\ndata: {"replayed":3}\nid: ${EPOCH}-3\n\n`;

for (const reason of ["expired", "revoked"] as const) {
  Deno.test(`Subscriber.end() tells the client last that its token is ${reason}`, async () => {
    const subscriber = createSubscriber();
    subscriber.end(reason);
    const text = await textOf(subscriber);
    // No ID: the client has the position of the event before.
    equal(text.slice(text.indexOf(LIVE)), LIVE + expired(reason));
  });
}

Deno.test("Subscriber.end() tells the position with the expiry if events were passed over", async () => {
  const source = new EncodedEvents(EPOCH, 0);
  const subscriber = subscribeTo(
    withHistory({ newest: source, page: () => Promise.resolve(null) }),
    { filter: new ChannelFilter(["b"]) },
  );
  const reader = subscriber.body.getReader();
  await reader.read();
  await reader.read();
  const next = reader.read();
  source.append([{ ...textEvent("1", "a"), sequence: 1, time: 0 }]);
  subscriber.wake();
  subscriber.end("expired");
  equal(
    new TextDecoder().decode((await next).value),
    expired("expired").replace(/\n$/, `id: ${EPOCH}-1\n\n`),
  );
  equal((await reader.read()).done, true);
});

Deno.test("Subscriber.end() without an expiry tells the client nothing", async () => {
  const subscriber = createSubscriber();
  subscriber.end();
  // The first reason counts: a drain that began before is none for another ticket.
  subscriber.end("revoked");
  equal((await textOf(subscriber)).endsWith(LIVE), true);
});

Deno.test("Subscriber.tick() ends a stream by its age in silence, and by its expiry with notice", async () => {
  const ends = [];
  for (const [endsAt, expiresAt] of [[5, Infinity], [5, 6], [5, 5], [Infinity, 5]] as const) {
    const subscriber = createSubscriber({ endsAt, expiresAt });
    const text = textOf(subscriber);
    await flush();
    subscriber.tick(4);
    subscriber.tick(5);
    ends.push((await text).endsWith(expired("expired")));
  }
  deepEqual(ends, [false, false, true, true]);
});
