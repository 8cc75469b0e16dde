import { deepEqual, equal } from "node:assert/strict";
import { createTestService } from "./support/test_service.ts";

Deno.test("a subscriber gets history, seam and news", async () => {
  await using service = await createTestService();
  for (let i = 1; i <= 150; i++) await service.publish("p_a", "events", i);
  const stream = await service.subscribe("p_a/sse");
  const replay = await stream.until("runnel.live");
  deepEqual(
    replay.slice(0, -1).map(({ data }) => Number(data)),
    Array.from({ length: 100 }, (_, i) => i + 51),
  );
  equal(replay.at(-1)!.data, '{"replayed":100}');
  await service.publish("p_a", "events", 151);
  equal((await stream.event())!.data, "151");
  await stream.cancel();
  equal(service.hub.stats.subscribers, 0);
  equal(service.hub.stats.pipelines, 0);
  equal(service.clock.liveTimers, 0);
});
