/**
 * A service in this process, on a real log in memory, with a clock that the
 * test controls.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Clock } from "../../lib/base/clock.ts";
import { readConfig, type Settings } from "../../lib/config/config.ts";
import type { Kv } from "../../lib/kv/kv_connection.ts";
import type { PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import { createService, type Service, type ServiceOptions } from "../../lib/service/service.ts";
import { StreamReader } from "./clients/stream_reader.ts";
import { drain } from "./drain.ts";
import { FakeClock } from "./fakes/clock.ts";
import { FaultyKv } from "./fakes/kv.ts";
import { collectReports } from "./fakes/reporter.ts";
import { prepareStore } from "./log.ts";
import { flush } from "./wait.ts";

/** Options for {@linkcode startService}. */
export interface StartServiceOptions {
  settings?: Settings;
  /** Opens the store. The default is a store in memory. */
  open?: () => Promise<Kv>;
  watch?: ServiceOptions["watch"];
  channels?: PipelineChannels | null;
  canary?: ServiceOptions["canary"];
  /** Clock of the service. The default is a fake clock. */
  clock?: Clock;
  random?: () => number;
}

/** A service that a test disposes of. */
export interface TestService<C extends Clock = FakeClock> extends Service, AsyncDisposable {
  clock: C;
  /** The store, which a test can make fail. */
  readonly kv: FaultyKv;
  /** Reports to the operator. */
  reports: string[];
  /** Publishes one event with a JSON payload and returns its ID. */
  publish: (pipeline: string, channel: string, payload: unknown) => Promise<string>;
  /** Opens an event stream. */
  subscribe: (pathAndQuery: string, headers?: HeadersInit) => Promise<StreamReader>;
}

/** Starts a service for a test. */
export function startService<C extends Clock>(
  options: StartServiceOptions & { clock: C },
): Promise<TestService<C>>;
export function startService(options?: StartServiceOptions): Promise<TestService>;
export async function startService({
  settings = {},
  open = () => Deno.openKv(":memory:"),
  watch = null,
  channels = null,
  canary = null,
  clock = new FakeClock(),
  random = () => 0.5,
}: StartServiceOptions = {}): Promise<TestService<Clock>> {
  const reports: string[] = [];
  let kv: FaultyKv;
  const service = await createService({
    config: readConfig(settings),
    async open() {
      const store = await open();
      kv = store instanceof FaultyKv ? store : new FaultyKv(store);
      await prepareStore(kv.inner);
      return kv;
    },
    watch,
    remote: watch !== null,
    channels,
    canary,
    runtime: {
      clock,
      random,
      report: collectReports(reports, { withCauses: true }),
    },
  });
  return {
    ...service,
    clock,
    get kv() {
      return kv;
    },
    reports,
    async publish(pipeline, channel, payload) {
      const response = await service.fetch(jsonPost("/ingest", { pipeline, channel, payload }));
      if (response.status !== 202) throw new Error(await response.text());
      return (await response.json()).events[0].id;
    },
    async subscribe(pathAndQuery, headers = {}) {
      const url = `http://localhost/pipelines/${pathAndQuery}`;
      const response = await service.fetch(new Request(url, { headers }));
      if (response.status !== 200) throw new Error(await response.text());
      return new StreamReader(response);
    },
    async [Symbol.asyncDispose]() {
      await drain(service.hub);
      await service.log.close();
    },
  };
}

/** Creates a POST request with a JSON body, whose length it tells as HTTP clients do. */
export function jsonPost(path: string, body: unknown, headers: HeadersInit = {}): Request {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return new Request(`http://localhost${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "content-length": String(bytes.length),
      ...Object.fromEntries(new Headers(headers)),
    },
    body: bytes,
  });
}

/** Maximum number of checks until calls in flight have ended. */
const MAX_TURNS = 100;

/** Asserts that a service holds nothing: no stream, no publish, no timer. */
export async function assertIdle({ hub, log, probes, bodies, clock }: TestService): Promise<void> {
  await flush();
  // A call to the store that is in flight has a deadline timer, which ends with the call. The end
  // of a body over a socket takes turns until it is known.
  const isBusy = () => clock.liveTimers > 0 || hub.stats.appends + hub.stats.publishing > 0;
  for (let turns = 0; turns < MAX_TURNS && isBusy(); turns++) await flush();
  deepEqual(hub.stats, {
    pipelines: 0,
    subscribers: 0,
    places: 0,
    histories: 0,
    publishing: 0,
    appends: 0,
    tailBytes: 0,
  });
  equal(probes.size, 0);
  equal(bodies.bytes, 0);
  deepEqual(log.pending, { waitingBytes: 0, sweeps: 0 });
  equal(clock.liveTimers, 0);
}
