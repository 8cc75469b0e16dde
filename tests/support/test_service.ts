/**
 * A service in this process, on a real log in memory, with its time in the
 * test's hands.
 *
 * @module
 */

import { readConfig, type Settings } from "../../lib/config/config.ts";
import type { Kv } from "../../lib/kv/kv_connection.ts";
import type { PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import { describeCause } from "../../lib/base/report.ts";
import { createService, type Service, type ServiceOptions } from "../../lib/service/service.ts";
import { drain } from "./drain.ts";
import { FakeClock } from "./fake_clock.ts";
import { StreamReader } from "./stream_reader.ts";

/** How a test wants its service. */
export interface TestServiceOptions {
  settings?: Settings;
  /** Opens the store: one in memory by default. */
  open?: () => Promise<Kv>;
  watch?: ServiceOptions["watch"];
  channels?: PipelineChannels | null;
  clock?: FakeClock;
  random?: () => number;
}

/** A service that a test disposes of. */
export interface TestService extends Service, AsyncDisposable {
  clock: FakeClock;
  /** What the operator was told. */
  reports: string[];
  /** Publishes one event with a JSON payload and returns its ID. */
  publish: (pipeline: string, channel: string, payload: unknown) => Promise<string>;
  /** Opens an event stream. */
  subscribe: (pathAndQuery: string, headers?: HeadersInit) => Promise<StreamReader>;
}

/** Makes a service for a test. */
export async function createTestService({
  settings = {},
  open = () => Deno.openKv(":memory:"),
  watch = null,
  channels = null,
  clock = new FakeClock(),
  random = () => 0.5,
}: TestServiceOptions = {}): Promise<TestService> {
  const reports: string[] = [];
  const service = await createService({
    config: readConfig(settings),
    open,
    watch,
    remote: watch !== null,
    channels,
    runtime: {
      clock,
      random,
      report: (message, cause) => reports.push(`${message}: ${describeCause(cause)}`),
    },
  });
  return {
    ...service,
    clock,
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

/** A POST of JSON. */
export function jsonPost(path: string, body: unknown, headers: HeadersInit = {}): Request {
  return new Request(`http://localhost${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...Object.fromEntries(new Headers(headers)) },
    body: JSON.stringify(body),
  });
}
