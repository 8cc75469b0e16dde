import { strictEqual as equal } from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { MEASURED } from "../../lib/commands/capacity_constants.ts";
import type { Kv, WatchKv } from "../../lib/kv/kv_connection.ts";
import { startService } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

const EVENTS = 20;

/** A store that counts its calls. */
class CountedKv {
  commits = 0;
  reads = 0;

  /** Returns a connection to a store, which stays open when the connection is closed. */
  wrap(kv: Kv & WatchKv): Kv & WatchKv {
    const count = <T>(result: T) => {
      this.reads++;
      return result;
    };
    return {
      get: (key, options) => count(kv.get(key, options)),
      getMany: (keys, options) => count(kv.getMany(keys, options)),
      list: (selector, options) => count(kv.list(selector, options)),
      watch: (keys, options) => kv.watch(keys, options),
      close() {},
      atomic: () => {
        this.commits++;
        return kv.atomic();
      },
    };
  }
}

Deno.test("A publish and a delivery take as many calls of the store as the capacity says", async () => {
  using store = await Deno.openKv(":memory:");
  const [publishing, delivering] = [new CountedKv(), new CountedKv()];
  const start = (counted: CountedKv) => {
    const open = () => Promise.resolve(counted.wrap(store));
    return startService({ clock: systemClock, open, watch: open });
  };
  await using publisher = await start(publishing);
  await using subscriber = await start(delivering);
  const stream = await subscriber.subscribe("p_a/sse");
  await stream.until("runnel.live");
  await publisher.publish("p_a", "events", 0);
  await stream.event();

  for (const counted of [publishing, delivering]) counted.commits = counted.reads = 0;
  for (let number = 1; number <= EVENTS; number++) {
    await publisher.publish("p_a", "events", number);
    await stream.event();
  }
  equal(publishing.commits, EVENTS);
  // The one more at a KV server is that of prompt_commits.ts.
  equal(publishing.reads, (MEASURED.readsOfPublish - 1) * EVENTS);
  equal(delivering.commits, 0);
  await eventually("the reads end", () => delivering.reads >= MEASURED.readsOfDelivery * EVENTS);
  equal(delivering.reads, MEASURED.readsOfDelivery * EVENTS);
  await stream.cancel();
});
