/**
 * Needs of a load, measured of the real program: the measurements behind `deno task capacity`.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { DataFolder, Program } from "../support/programs/program.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import type { Load } from "./load.ts";
import { bare } from "./peers/mod.ts";

/** A load that lasts. */
export interface SteadyLoad {
  /** Subscribers, spread evenly over the pipelines. */
  subscribers: number;
  /** Pipelines that have subscribers. */
  pipelines: number;
  /** Events a second, over all pipelines, one in a request. */
  rate: number;
  /** Size of a payload, in bytes. */
  payload: number;
}

/** Amounts that a load took. */
export interface Usage {
  /** Events that were published, a second. */
  rate: number;
  /** Memory of the process, in bytes. */
  memory: number;
  /** CPU time, in cores. */
  cpu: number;
  /** Open files. */
  files: number;
  /** Bytes sent on streams, a second. */
  sent: number;
  /** Bytes that each event added to the file of the log. */
  stored: number;
}

/** Connections that publish. */
export const PUBLISHERS = 8;

/** Bytes of a payload beside its filling, with the mark of the event. */
const MARK_BYTES = 40;

/** Options of the load generator for an event of a size. */
function event(payload: number): string {
  const text = "x".repeat(Math.max(0, payload - MARK_BYTES));
  return `{"pipeline":"{pipeline}","channel":"events","payload":{"at":"{mark}","text":"${text}"}}`;
}

/** Settings of the program, which admit the load. */
const SETTINGS = {
  RUNNEL_MAX_SUBSCRIBERS: "20000",
  RUNNEL_MAX_PIPELINE_SUBSCRIBERS: "20000",
  RUNNEL_MAX_PIPELINES: "20000",
  // The file grows by all that is published, which is then what each event takes.
  RUNNEL_RETENTION: "1000000",
};

/** Warm-up of the load generator, in seconds, during which it publishes as well. */
const WARMUP_S = 1;

/** Measures the program under a load, for a time in seconds. */
export async function measureUsage(
  load: Load,
  { subscribers, pipelines, rate, payload }: SteadyLoad,
  seconds: number,
): Promise<Usage> {
  await using folder = new DataFolder();
  await folder.make(".");
  await using program = await Program.start({ ...SETTINGS, RUNNEL_KV: folder.kv });
  let files = 0;
  const counting = setInterval(() => files = Math.max(files, countFiles(program.pid)), 100);
  const sample = await load.run("drive", {
    ports: new URL(program.url).port,
    pids: program.pid,
    seconds,
    warmup: WARMUP_S,
    subscribers,
    pipelines,
    publishers: rate === 0 ? 0 : PUBLISHERS,
    ...rate > 0 && { rate },
    subscribe: "/pipelines/{pipeline}/sse",
    publish: "/ingest",
    "publish-headers": "Content-Type: application/json",
    event: event(payload),
    ready: "runnel.live",
  }).finally(() => clearInterval(counting));
  const each = await bytesOfEvent(program.url, payload);
  // Then all is in the file, and nothing beside it.
  program.kill("SIGTERM");
  await program.exit();
  const { size } = await Deno.stat(new URL(`../../${folder.kv}`, import.meta.url));
  const events = sample["publishesPerSecond"]! * (seconds + WARMUP_S);
  return {
    rate: rate === 0 ? 0 : sample["publishesPerSecond"]!,
    memory: sample["residentAfter"]!,
    cpu: sample["serverCpu"]!,
    files,
    sent: each * sample["deliveriesPerSecond"]!,
    stored: events === 0 ? 0 : size / events,
  };
}

/** Publishes one event, and returns its size on a stream, in bytes. */
async function bytesOfEvent(url: string, payload: number): Promise<number> {
  const stream = await fetch(`${url}/pipelines/p_size/sse`);
  const reader = stream.body!.getReader();
  const read = async () => (await reader.read()).value!;
  const isLive = (text: Uint8Array) => new TextDecoder().decode(text).includes("runnel.live");
  while (!isLive(await read()));
  const body = event(payload).replace("{pipeline}", "p_size").replace("{mark}", "0".repeat(20));
  const answer = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  equal(answer.status, 202, await answer.text());
  const { length } = await read();
  await reader.cancel();
  return length;
}

/** Returns the CPU time that a bare handler of the runtime takes for a delivery, in seconds. */
export async function measureBareDelivery(load: Load, seconds: number): Promise<number> {
  const subscribers = 200;
  const rate = 100;
  await using server = await bare.start();
  const sample = await load.run("drive", {
    ports: server.ports.join(","),
    pids: (await server.pids()).join(","),
    seconds,
    subscribers,
    publishers: PUBLISHERS,
    rate,
    ...bare.wire.single,
  });
  return sample["serverCpu"]! / (subscribers * rate);
}

/** Returns the CPU time of a commit to a bare Deno KV file, in seconds. */
export async function measureBareCommit(seconds: number): Promise<number> {
  await using folder = new TempFolder();
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--unstable-kv", "--no-check", "--no-config"],
      new URL("handlers/commits.ts", import.meta.url).pathname,
      ...[`${folder.path}/bare.sqlite`, "100", `${seconds}`],
    ],
  }).output();
  return Number(new TextDecoder().decode(stdout));
}

/** Measures the references, which tell how fast this machine is now. */
export async function measureReferences(
  load: Load,
  seconds: number,
): Promise<{ bareCommit: number; bareDelivery: number }> {
  return {
    bareCommit: await measureBareCommit(seconds),
    bareDelivery: await measureBareDelivery(load, seconds),
  };
}

function countFiles(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}
