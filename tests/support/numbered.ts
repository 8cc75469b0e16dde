/**
 * A pipeline whose events are numbers, each its own sequence, and what its
 * subscribers are told.
 *
 * @module
 */

import type { SaidEvent, StreamReader } from "./stream_reader.ts";
import type { TestService } from "./test_service.ts";

/** Publishes the numbers from one to another, each in a request of its own. */
export async function publish(
  service: TestService,
  first: number,
  last: number,
): Promise<string[]> {
  const ids: string[] = [];
  for (let i = first; i <= last; i++) ids.push(await service.publish("p_a", "events", i));
  return ids;
}

/** What an event says: its payload; type and data of one of ours. */
export function brief({ type, data }: SaidEvent): unknown {
  return type.startsWith("runnel.") ? [type, JSON.parse(data)] : JSON.parse(data);
}

/** The seam, after so many events. */
export const live = (replayed: number) => ["runnel.live", { replayed }];

/** The gap of a position that is none of the log. */
export const unknown = ["runnel.gap", { missed: null, reason: "unknown" }];

/** The header of a subscriber that comes back. */
export const resumed = (id: string | undefined) => ({ "Last-Event-ID": id! });

/** What a new subscriber is told up to the seam. */
export async function begins(service: TestService, headers: HeadersInit = {}): Promise<unknown[]> {
  const stream = await service.subscribe("p_a/sse", headers);
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return events.map(brief);
}

/** The next things that a stream says. */
export async function says(stream: StreamReader, count: number): Promise<unknown[]> {
  return (await stream.events(count)).map(brief);
}

/** The numbers from one to another. */
export function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
