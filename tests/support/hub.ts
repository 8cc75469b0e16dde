/**
 * A hub, used without its routes.
 *
 * @module
 */

import type { NewEvent } from "../../lib/protocol/event.ts";
import { FaultyKv } from "./faulty_kv.ts";
import { StreamReader } from "./stream_reader.ts";
import { textEvent } from "./test_log.ts";
import { createTestService, type TestService } from "./test_service.ts";

/** A hub on a store that can be made to fail. */
export async function createHub(settings: Record<string, string> = {}) {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const service = await createTestService({ settings, open: () => Promise.resolve(kv) });
  return { service, hub: service.hub, kv };
}

/** An event whose payload is a value. */
export function event(payload: unknown): NewEvent {
  return textEvent(JSON.stringify(payload));
}

/** Subscribes past the routes. */
export async function subscribe({ hub }: TestService, pipeline = "p_a"): Promise<StreamReader> {
  return new StreamReader(await hub.subscribe(pipeline));
}
