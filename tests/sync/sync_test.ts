import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Change } from "../../lib/log/commit.ts";
import type { LogListener } from "../../lib/log/event_log.ts";
import { newHead } from "../../lib/log/head.ts";
import { PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import { Sync, type SyncOptions } from "../../lib/sync/sync.ts";
import { FakeChannels } from "../support/fakes/broadcast.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { FakeWatchKv } from "../support/fakes/watch_kv.ts";
import { flush } from "../support/wait.ts";

const EPOCH = "AAECAwQFBgc";
const CLEAR: Change = { pipeline: "p_a", epoch: EPOCH, oldest: 7 };

/** A sync on a log that the test changes, and the calls of its followers. */
function createTestSync(sources: { channels?: FakeChannels; watch?: FakeWatchKv } = {}) {
  const runtime = {
    clock: new FakeClock(0),
    random: () => 0,
    report: (message: string) => {
      throw new Error(message);
    },
  };
  let listener: LogListener | null = null;
  const log: SyncOptions["log"] = {
    listen(added) {
      listener = added;
      return { [Symbol.dispose]() {} };
    },
    heads: (pipelines) => Promise.resolve(pipelines.map(() => newHead(EPOCH, 0))),
  };
  const channels = sources.channels
    ? new PipelineChannels(sources.channels.Channel, runtime)
    : null;
  const sync = new Sync({ log, channels, watch: sources.watch?.open ?? null, runtime });
  const told: string[] = [];
  return {
    sync,
    clock: runtime.clock,
    log: listener!,
    told,
    follow: (pipeline = "p_a", isBehind = false) =>
      sync.follow(pipeline, {
        onChange: (change) => told.push(`change of ${change.pipeline}`),
        onHead(head, source) {
          told.push(`head ${head?.sequence ?? "none"} of ${pipeline} by ${source}`);
          return Promise.resolve(isBehind);
        },
      }),
  };
}

Deno.test("Sync.follow() passes on changes of this isolate's log, and announced heads", () => {
  const { follow, log, told } = createTestSync();
  const following = follow();
  log.onChange(CLEAR);
  log.onChange({ ...CLEAR, pipeline: "p_b" });
  const head = { epoch: EPOCH, sequence: 3, cleared: 0 };
  log.onHeads([{ pipeline: "p_a", ...head }, { pipeline: "p_b", ...head }]);
  const all = ["change of p_a", "head 3 of p_a by announcement"];
  deepEqual(told, all);
  following[Symbol.dispose]();
  log.onChange(CLEAR);
  log.onHeads([{ pipeline: "p_a", ...head }]);
  deepEqual(told, all);
});

Deno.test("Sync posts changes to the other isolates, whether it follows the pipeline or not", async () => {
  const channels = new FakeChannels();
  const [here, there] = [createTestSync({ channels }), createTestSync({ channels })];
  const following = there.follow();
  here.log.onChange(CLEAR);
  deepEqual(there.told, ["change of p_a"]);
  deepEqual(here.told, []);
  following[Symbol.dispose]();
  here.log.onChange(CLEAR);
  deepEqual(there.told, ["change of p_a"]);
  await Promise.all([here.sync.close(), there.sync.close()]);
  deepEqual(channels.open, []);
});

Deno.test("Sync passes a change on in this isolate before it posts it to the others", () => {
  const channels = new FakeChannels();
  const [here, there] = [createTestSync({ channels }), createTestSync({ channels })];
  const order: string[] = [];
  for (const [where, { sync }] of Object.entries({ there, here })) {
    sync.follow("p_a", {
      onChange: () => order.push(where),
      onHead: () => Promise.resolve(false),
    });
  }
  here.log.onChange(CLEAR);
  deepEqual(order, ["here", "there"]);
});

Deno.test("Sync reconciles every 60 seconds beside other processes, and reopens a silent watch", async () => {
  const watch = new FakeWatchKv();
  const { sync, clock, follow, told } = createTestSync({ watch });
  follow("p_a", true);
  await flush();
  clock.advance(10);
  await flush();
  deepEqual(told.splice(0), ["head none of p_a by watch"]);
  clock.advance(58_990);
  await flush();
  deepEqual(told, []);
  clock.advance(1000);
  await flush();
  clock.advance(0);
  await flush();
  deepEqual(told, ["head 0 of p_a by reconcile"]);
  equal(watch.opened, 2);
  await sync.close();
  equal(clock.liveTimers, 0);
});

Deno.test("Sync keeps a watch while its pipeline is followed and not behind", async () => {
  const watch = new FakeWatchKv();
  const { sync, clock, follow } = createTestSync({ watch });
  const following = follow();
  await flush();
  clock.advance(60_000);
  await flush();
  clock.advance(0);
  await flush();
  equal(watch.opened, 1);
  following[Symbol.dispose]();
  await flush();
  equal(watch.watches.size, 0);
  await sync.close();
});

Deno.test("Sync reconciles every 15 seconds beside other isolates, while it follows a pipeline", async () => {
  const { sync, clock, follow, told } = createTestSync({ channels: new FakeChannels() });
  equal(clock.liveTimers, 0);
  const followings = [follow("p_a"), follow("p_b")];
  equal(clock.liveTimers, 1);
  for (const _ of [1, 2]) {
    clock.advance(15_000);
    await flush();
    deepEqual(told.splice(0).sort(), [
      "head 0 of p_a by reconcile",
      "head 0 of p_b by reconcile",
    ]);
  }
  followings[0]![Symbol.dispose]();
  equal(clock.liveTimers, 1);
  followings[1]![Symbol.dispose]();
  equal(clock.liveTimers, 0);
  await sync.close();
});

Deno.test("Sync reconciles nothing when no other isolate or process writes to the log", () => {
  const { clock, follow } = createTestSync();
  follow();
  equal(clock.liveTimers, 0);
});
