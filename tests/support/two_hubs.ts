/**
 * Two services on one store, as two isolates of a process are.
 *
 * @module
 */

import { PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import type { ChannelConstructor } from "../../lib/sync/pipeline_channels.ts";
import { FakeClock } from "./fake_clock.ts";
import { FaultyKv } from "./faulty_kv.ts";
import { memoryStore, type SharedStore } from "./test_log.ts";
import { createTestService, type TestService, type TestServiceOptions } from "./test_service.ts";

/** One of the two. */
export interface Isolate {
  service: TestService;
  /** Its own way to the store, which can be made to fail. */
  kv: FaultyKv;
  channels: PipelineChannels | null;
}

/** Both, on one clock. */
export interface TwoHubs extends AsyncDisposable {
  clock: FakeClock;
  here: Isolate;
  there: Isolate;
}

/** Makes two services on one store: without a `Channel` they do not hear each other. */
export async function createTwoHubs(
  Channel: ChannelConstructor | null,
  settings: NonNullable<TestServiceOptions["settings"]> = {},
  openStore: () => Promise<SharedStore> = memoryStore,
): Promise<TwoHubs> {
  const store = await openStore();
  const clock = new FakeClock();
  const start = async (): Promise<Isolate> => {
    const kv = new FaultyKv(await store.open());
    const reports: string[] = [];
    const runtime = { report: (message: string) => void reports.push(message) };
    const channels = Channel && new PipelineChannels(Channel, runtime);
    const open = () => Promise.resolve(kv);
    const service = await createTestService({ open, clock, channels, settings });
    return { service: { ...service, reports }, kv, channels };
  };
  const [here, there] = [await start(), await start()];
  return {
    clock,
    here,
    there,
    async [Symbol.asyncDispose]() {
      await here.service[Symbol.asyncDispose]();
      await there.service[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
