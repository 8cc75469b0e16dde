import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual,
  ok,
  strictEqual as equal,
} from "node:assert/strict";
import type { Change } from "../../lib/log/commit.ts";
import { type ChannelConstructor, PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import { deadline, systemClock } from "../../lib/base/clock.ts";
import type { Runtime } from "../../lib/base/runtime.ts";
import { FakeChannels } from "../support/fakes/broadcast.ts";

const MESSAGE: Change = { pipeline: "p_a", epoch: "AAECAwQFBgc", oldest: 7 };
const COMMIT: Change = {
  pipeline: "p_a",
  epoch: "AAECAwQFBgc",
  cleared: 0,
  segments: [new Uint8Array([1, 2])],
};

function unexpected(message: string): void {
  throw new Error(message);
}

function soon<T>(work: Promise<T>): Promise<T> {
  return deadline(systemClock, 5000, work, () => new Error("Not within 5 seconds"));
}

Deno.test("PipelineChannels.post() reaches the subscribed pipeline in other isolates, never itself", async () => {
  using here = new PipelineChannels(BroadcastChannel, { report: unexpected });
  using there = new PipelineChannels(BroadcastChannel, { report: unexpected });
  const echoes: Change[] = [];
  const heard: Change[] = [];
  const others: Change[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  here.subscribe("p_a", (message) => echoes.push(message));
  there.subscribe("p_b", (message) => others.push(message));
  there.subscribe("p_a", (message) => {
    heard.push(message);
    if (heard.length === 2) resolve();
  });
  here.post(COMMIT);
  here.post(MESSAGE);
  await soon(promise);
  deepEqual(heard, [COMMIT, MESSAGE]);
  deepEqual(echoes, []);
  deepEqual(others, []);
});

Deno.test("PipelineChannels.subscribe() listens until it is disposed, and again after the next call", () => {
  const network = new FakeChannels();
  using here = new PipelineChannels(network.Channel, { report: unexpected });
  using there = new PipelineChannels(network.Channel, { report: unexpected });
  const heard: string[] = [];
  const first = there.subscribe("p_a", () => heard.push("first"));
  here.post(MESSAGE);
  first[Symbol.dispose]();
  here.post(MESSAGE);
  const second = there.subscribe("p_a", () => heard.push("second"));
  first[Symbol.dispose]();
  here.post(MESSAGE);
  deepEqual(heard, ["first", "second"]);
  second[Symbol.dispose]();
  deepEqual(there.stats, { open: 0, listening: 0, failures: 0 });
});

Deno.test("PipelineChannels.subscribe() listens on the channel that it posts on", () => {
  const network = new FakeChannels();
  using here = new PipelineChannels(network.Channel, { report: unexpected });
  here.post(MESSAGE);
  deepEqual(here.stats, { open: 1, listening: 0, failures: 0 });
  using _joined = here.subscribe("p_a", () => {});
  here.post(MESSAGE);
  deepEqual(here.stats, { open: 1, listening: 1, failures: 0 });
  deepEqual(network.open, ["runnel", "runnel p_a"]);
});

Deno.test("PipelineChannels keeps one channel open until it is disposed", () => {
  const network = new FakeChannels();
  const here = new PipelineChannels(network.Channel, { report: unexpected });
  equal(network.open.length, 1);
  here.subscribe("p_a", () => {})[Symbol.dispose]();
  equal(network.open.length, 1);
  here.subscribe("p_a", () => {});
  here.post({ ...MESSAGE, pipeline: "p_b" });
  here[Symbol.dispose]();
  deepEqual(network.open, []);
});

Deno.test("PipelineChannels.post() keeps a thousand channels without listeners, and no more", () => {
  const network = new FakeChannels();
  using here = new PipelineChannels(network.Channel, { report: unexpected });
  using _joined = here.subscribe("p_heard", () => {});
  for (let i = 0; i < 1500; i++) here.post({ ...MESSAGE, pipeline: `p_${i}` });
  equal(here.stats.open, 1000);
  equal(network.open.length, 1001);
  ok(network.open.includes("runnel p_heard"), "who is listened to stays");
  ok(network.open.includes("runnel p_1499"), "who was used last stays");
});

Deno.test("PipelineChannels.post() counts and reports failures, and throws nothing", () => {
  const network = new FakeChannels();
  const reports: string[] = [];
  const runtime: Pick<Runtime, "report"> = {
    report: (message, cause) => reports.push(`${message}: ${cause}`),
  };
  using here = new PipelineChannels(network.Channel, runtime);
  network.route = () => {
    throw new TypeError("expected i32");
  };
  here.post(MESSAGE);
  here.post(MESSAGE);
  equal(here.stats.failures, 2);
  match(reports[0]!, /about a pipeline: TypeError: expected i32/);
});

Deno.test("PipelineChannels closes the other channels when closing one fails", () => {
  const network = new FakeChannels();
  let reports = 0;
  const here = new PipelineChannels(network.Channel, { report: () => reports++ });
  network.onClose = () => {
    throw new TypeError("expected i32");
  };
  here.subscribe("p_a", () => {})[Symbol.dispose]();
  here.subscribe("p_b", () => {});
  here.post({ ...MESSAGE, pipeline: "p_c" });
  here[Symbol.dispose]();
  deepEqual(network.open, []);
  equal(here.stats.failures, 4);
  equal(reports, 4);
});

Deno.test("PipelineChannels.subscribe() passes nothing on after it was disposed, when closing fails", () => {
  const open: InstanceType<ChannelConstructor>[] = [];
  class Channel {
    onmessage = null;
    constructor() {
      open.push(this);
    }
    postMessage(): void {}
    close(): void {
      throw new TypeError("expected i32");
    }
  }
  using here = new PipelineChannels(Channel, { report() {} });
  const subscription = here.subscribe("p_a", () => {});
  notStrictEqual(open[1]!.onmessage, null);
  subscription[Symbol.dispose]();
  equal(open[1]!.onmessage, null);
});

Deno.test("PipelineChannels closes each channel once, in any order of disposal", () => {
  const network = new FakeChannels();
  let closes = 0;
  network.onClose = () => closes++;
  const here = new PipelineChannels(network.Channel, { report: unexpected });
  const subscription = here.subscribe("p_a", () => {});
  here[Symbol.dispose]();
  subscription[Symbol.dispose]();
  equal(closes, 2, "the channel and the anchor");
});

Deno.test("PipelineChannels.post() opens no channel after it was disposed", () => {
  const network = new FakeChannels();
  const here = new PipelineChannels(network.Channel, { report() {} });
  here[Symbol.dispose]();
  here.post(MESSAGE);
  deepEqual(network.open, []);
});
