/**
 * A pipeline whose events are numbers, each its own sequence, and the events
 * that its subscribers receive.
 *
 * @module
 */

import type { NewEvent } from "../../lib/protocol/event.ts";
import { type ReceivedEvent, StreamReader } from "./clients/stream_reader.ts";
import { textEvent } from "./log.ts";
import type { TestService } from "./service.ts";

/** Publishes the numbers from one to another, each in its own request. */
export async function publishNumbers(
  service: TestService,
  first: number,
  last: number,
): Promise<string[]> {
  const ids: string[] = [];
  for (let i = first; i <= last; i++) ids.push(await service.publish("p_a", "events", i));
  return ids;
}

/**
 * Returns the payload of an event, or type and data of a control event. For a
 * payload that is a number and filler, it returns the number.
 */
export function describeEvent({ type, data }: ReceivedEvent): unknown {
  const value = JSON.parse(data);
  if (type.startsWith("runnel.")) return [type, value];
  return typeof value === "string" && /^\d+ x+$/.test(value) ? parseInt(value) : value;
}

/** ID that no log has minted. */
export const UNKNOWN_ID = "AAAAAAAAAAA-3";

/** Returns the control event that ends a replay of a number of events. */
export const liveMarker = (replayed: number) => ["runnel.live", { replayed }];

/** Returns the control event for missed events. */
export const gapMarker = (
  missed: number | null,
  reason: string,
) => ["runnel.gap", { missed, reason }];

/** Gap after a position that is unknown to the log. */
export const UNKNOWN_GAP = gapMarker(null, "unknown");

/** Returns the header of a subscriber that reconnects. */
export const lastEventIdHeader = (id: string | undefined) => ({ "Last-Event-ID": id! });

/** Subscribes, and returns the events up to the live marker. */
export async function readReplay(
  service: TestService,
  query = "",
  headers: HeadersInit = {},
): Promise<unknown[]> {
  const stream = await service.subscribe(`p_a/sse${query}`, headers);
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return events.map(describeEvent);
}

/** Returns the next events of a stream. */
export async function readEvents(stream: StreamReader, count: number): Promise<unknown[]> {
  return (await stream.events(count)).map(describeEvent);
}

/** Returns the numbers from one to another. */
export function numbers(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

/** Creates an event whose payload is a value. */
export function jsonEvent(payload: unknown): NewEvent {
  return textEvent(JSON.stringify(payload));
}

/** Subscribes directly, without the routes. */
export async function subscribeToHub(
  { hub }: TestService,
  pipeline = "p_a",
): Promise<StreamReader> {
  return new StreamReader(await hub.subscribe(pipeline));
}
