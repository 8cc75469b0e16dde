import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { holds, passes } from "../support/faulty_kv.ts";
import { createHub, event } from "../support/hub.ts";
import { numbers } from "../support/numbered.ts";

Deno.test("HistoryReader.read() gives as many as were asked for, though more come while it reads", async () => {
  const { service, hub, kv } = await createHub();
  await using _ = service;
  await hub.publish("p_a", numbers(1, 5).map(event));
  const held = holds("call");
  kv.script("get", passes, held.fault);
  const reading = hub.history("p_a", 3);
  await held.met;
  await hub.publish("p_a", [event(6)]);
  held.release();
  deepEqual((await reading).events.map(({ sequence }) => sequence), [3, 4, 5]);
});
