/**
 * A drain of one isolate, in the order that a server keeps.
 *
 * @module
 */

import type { Hub } from "../../lib/hub/hub.ts";

/** Drains a hub that has no other isolates to wait for. */
export async function drain(hub: Hub, publishesMs = 0): Promise<void> {
  await hub.stopPublishing(publishesMs);
  await hub.close();
}
