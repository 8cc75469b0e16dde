/**
 * The positions that a client of several pipelines comes back with, whenever it was cut off.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { Subscription } from "../../lib/hub/subscription.ts";
import { splitEventIds } from "../../lib/protocol/event.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { type ReceivedEvent, StreamReader } from "../support/clients/stream_reader.ts";
import { bearerHeader, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { describeEvent, jsonEvent, numbers, UNKNOWN_ID } from "../support/events.ts";
import { jsonPost, startService, type TestService } from "../support/service.ts";
import { advanceUntil } from "../support/wait.ts";

const BOTH = ["p_a", "p_b"];

/** Time after which a ticket's URL opens nothing without an ID, in milliseconds. */
const REPEAT_MS = 10_000;

async function open(
  { hub }: TestService,
  subscription: Subscription = {},
  pipelines: readonly string[] = BOTH,
): Promise<StreamReader> {
  return new StreamReader(await hub.subscribe(pipelines, subscription));
}

/** Publishes values to a pipeline, in one request. */
async function publish(
  { hub }: TestService,
  pipeline: string,
  values: readonly unknown[],
): Promise<string> {
  const { epoch, first } = await hub.publish(pipeline, values.map(jsonEvent));
  return `${epoch}-${first + values.length - 1}`;
}

/** Deletes a pipeline, and publishes a value to the log that replaces its own. */
async function replace(service: TestService, pipeline: string, value: unknown): Promise<void> {
  await advanceUntil(service.clock, service.hub.delete(pipeline));
  await advanceUntil(service.clock, publish(service, pipeline, [value]));
}

/** Returns an event as its type and its value, or the members of its data. */
function describe(event: ReceivedEvent): string {
  const value = describeEvent(event);
  const parts = Array.isArray(value) ? Object.values(value[1]) : [value];
  return [event.type, ...parts].join(" ");
}

/** Returns what a stream has until all of its pipelines are live. */
async function replays(stream: StreamReader, pipelines = BOTH.length): Promise<string[]> {
  const events: ReceivedEvent[] = [];
  for (let i = 0; i < pipelines; i++) events.push(...await stream.until("runnel.live"));
  await stream.cancel();
  return events.map(describe).sort();
}

for (const count of [100, Infinity]) {
  Deno.test(`A client that is cut off before a history of ${count} events began misses none of it`, async () => {
    await using service = await startService();
    await publish(service, "p_a", [1]);
    // The log is read for them, so that others come first.
    await publish(service, "p_b", numbers(1, 150));
    await service.hub.clear("p_b");
    const history = rangeOfNewest(count);
    const first = await open(service, { history });
    const [event] = await first.events(1);
    await first.cancel();
    equal(event!.type, "p_a/events");
    deepEqual(await replays(await open(service, { history, lastEventId: event!.id })), [
      "runnel.live p_a 0",
      "runnel.live p_b 0",
    ]);
  });
}

Deno.test("A pipeline that is new in the URL is told of no gap because another has a gap", async () => {
  await using service = await startService();
  const a = await publish(service, "p_a", [1]);
  const b = await publish(service, "p_b", [1]);
  await replace(service, "p_b", 2);
  const stream = await open(service, { lastEventId: `${a}.${b}` });
  const [event] = await stream.events(1);
  await stream.cancel();
  equal(describe(event!), "runnel.live p_a 0");
  // The gap of p_b was not told.
  const again = await open(service, { lastEventId: event!.id }, ["p_a", "p_b", "p_c"]);
  deepEqual(await replays(again, 3), [
    "p_b/events 2",
    "runnel.gap p_b  unknown",
    "runnel.live p_a 0",
    "runnel.live p_b 1",
    "runnel.live p_c 0",
  ]);
});

for (
  const [name, isReplaced] of [
    ["whose logs were replaced", true],
    ["that began with foreign IDs", false],
  ] as const
) {
  Deno.test(`A ticket's URL opens pipelines ${name} again, wherever it was cut off`, async () => {
    await using service = await startService({ settings: TOKEN_SETTINGS });
    const { clock } = service;
    const pipelines = ["p_a", "p_b", "p_c"];
    for (const id of pipelines) await publish(service, id, [1]);
    const body = { pipelines, ...!isReplaced && { lastEventId: UNKNOWN_ID } };
    const issued = await service.fetch(jsonPost("/tickets", body, bearerHeader(PUBLISH_TOKEN)));
    const { url } = await issued.json();
    const connect = async (lastEventId = "") => {
      const headers = lastEventId === "" ? {} : { "Last-Event-ID": lastEventId };
      const response = await service.fetch(new Request(url, { headers }));
      equal(response.status, 200);
      return new StreamReader(response);
    };
    let lastEventId = "";
    if (isReplaced) {
      const stream = await connect();
      const [event] = await stream.events(1);
      await stream.cancel();
      lastEventId = event!.id!;
      for (const id of pipelines) await replace(service, id, 7);
    }
    const told = new Set<string>();
    // Cut off after each event, from the first on.
    for (let count = 1; count < 9; count++) {
      const stream = await connect(lastEventId);
      const events = await stream.events(Math.min(count, 3));
      await stream.cancel();
      clock.advance(REPEAT_MS);
      lastEventId = events.at(-1)!.id!;
      ok(lastEventId.length <= 320, "as long as a ticket may have it");
      equal(splitEventIds(lastEventId).length, 3);
      for (const event of events) told.add(describe(event));
    }
    for (const id of pipelines) ok(told.has(`runnel.gap ${id}  unknown`), id);
  });
}

Deno.test("A newcomer with a ticket misses nothing that was cleared before it came", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  await publish(service, "p_a", [1, 2, 3, 4, 5]);
  await service.hub.clear("p_a");
  const headers = bearerHeader(PUBLISH_TOKEN);
  const issued = await service.fetch(jsonPost("/pipelines/p_a/tickets", {}, headers));
  const { url } = await issued.json();
  const connect = (headers = {}) => service.fetch(new Request(url, { headers }));
  // The announcement of its start is all that the client gets.
  const reader = (await connect()).body!.getReader();
  const [, id] = /^id: (.*)$/m.exec(new TextDecoder().decode((await reader.read()).value))!;
  await reader.cancel();
  const stream = new StreamReader(await connect({ "Last-Event-ID": id! }));
  deepEqual((await stream.until("runnel.live")).map(({ type }) => type), ["runnel.live"]);
  await stream.cancel();
});
