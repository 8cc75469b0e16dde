/**
 * Two services on one store, as two isolates of a process are.
 *
 * @module
 */

import { PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import type { ChannelConstructor } from "../../lib/sync/pipeline_channels.ts";
import { FakeClock } from "./fakes/clock.ts";
import { FaultyKv } from "./fakes/kv.ts";
import { memoryStore, type SharedStore } from "./log.ts";
import { startService, type StartServiceOptions, type TestService } from "./service.ts";

/** One of the two services. */
export interface Instance {
  service: TestService;
  /** Its own connection to the store, which can be made to fail. */
  kv: FaultyKv;
  channels: PipelineChannels | null;
}

/** Both services, on one clock. */
export interface TwoInstances extends AsyncDisposable {
  clock: FakeClock;
  here: Instance;
  there: Instance;
}

/** Options for {@linkcode startTwoInstances}. */
export interface TwoInstancesOptions extends Pick<StartServiceOptions, "settings" | "watch"> {
  /** Broadcasts commits between the two. Without it, neither receives those of the other. */
  Channel?: ChannelConstructor | null;
  /** Opens the store. The default is a store in memory. */
  openStore?: () => Promise<SharedStore>;
}

/** Starts two services on one store and one clock. */
export async function startTwoInstances({
  Channel = null,
  settings = {},
  watch = null,
  openStore = memoryStore,
}: TwoInstancesOptions = {}): Promise<TwoInstances> {
  const store = await openStore();
  const clock = new FakeClock();
  const start = async (): Promise<Instance> => {
    const kv = new FaultyKv(await store.open());
    const reports: string[] = [];
    const runtime = { report: (message: string) => void reports.push(message) };
    const channels = Channel && new PipelineChannels(Channel, runtime);
    const open = () => Promise.resolve(kv);
    const service = await startService({ open, clock, channels, settings, watch });
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
