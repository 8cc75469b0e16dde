/**
 * A drain of one isolate, in the order in which a server drains.
 *
 * @module
 */

import type { Hub } from "../../lib/hub/hub.ts";

/** Drains a hub without waiting for other isolates. */
export async function drain(hub: Hub, publishesMs = 0): Promise<void> {
  await hub.stopPublishing(publishesMs);
  await hub.close();
}
