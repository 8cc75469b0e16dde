/**
 * A durable log on a store that a test can make fail, with its time in the
 * test's hands.
 *
 * @module
 */

import type { NewEvent } from "../../lib/protocol/event.ts";
import { KvTicketStore } from "../../lib/access/ticket_store.ts";
import type { Runtime } from "../../lib/base/runtime.ts";
import { EventLog } from "../../lib/log/event_log.ts";
import type { Retention } from "../../lib/log/head.ts";
import { headKey } from "../../lib/log/keys.ts";
import { type Kv, KvConnection } from "../../lib/kv/kv_connection.ts";
import type { Commit } from "../../lib/log/commit.ts";
import { unpackSegment } from "../../lib/log/segment.ts";
import { FakeClock } from "./fakes/clock.ts";
import { FaultyKv } from "./fakes/kv.ts";

/** How long a call to a test's log may take, in milliseconds. */
export const TIMEOUT_MS = 3000;

/** By how much the clock is moved on at a time, in milliseconds: more than any jitter. */
const STEP_MS = 60;

/** How a test wants its log. */
export interface TestLogOptions {
  /** Opens the store: one in memory by default. */
  open?: () => Promise<Kv>;
  clock?: FakeClock;
  retention?: Partial<Retention>;
  maxWaitingBytes?: number;
  timeoutMs?: number;
  random?: () => number;
}

/** A log with what a test wants to know of it. Disposing it closes it. */
export interface TestLog extends AsyncDisposable {
  log: EventLog;
  /** The tickets in the same store. */
  tickets: KvTicketStore;
  kv: FaultyKv;
  clock: FakeClock;
  /** The commits that the listener received. */
  commits: Commit[];
  /** The listener, in whose place a test can set another once it is disposed. */
  listening: Disposable;
  /** What the operator was told. */
  reports: string[];
  /** As {@linkcode advanceLogsUntil}. */
  advanceUntil: <T>(work: Promise<T>) => Promise<T>;
}

/** Makes a log for a test. */
export async function createTestLog({
  open = () => Deno.openKv(":memory:"),
  clock = new FakeClock(),
  retention = {},
  maxWaitingBytes = 64 * 1024 * 1024,
  timeoutMs = TIMEOUT_MS,
  random = Math.random,
}: TestLogOptions = {}): Promise<TestLog> {
  const commits: Commit[] = [];
  const reports: string[] = [];
  const runtime: Runtime = { clock, random, report: (message) => reports.push(message) };
  const kv = new FaultyKv(await open());
  const connection = await KvConnection.open({
    open: () => Promise.resolve(kv),
    runtime,
    timeoutMs,
    replace: false,
  });
  const log = new EventLog({
    kv: connection,
    shared: false,
    runtime,
    retention: { events: 1000, ms: 60_000, bytes: 32 * 1024 * 1024, ...retention },
    timeoutMs,
    maxWaitingBytes,
  });
  const listening = log.listen({
    onChange(change) {
      if ("segments" in change) commits.push(change);
    },
    onHeads() {},
  });
  return {
    log,
    tickets: new KvTicketStore(connection),
    kv,
    clock,
    commits,
    listening,
    reports,
    advanceUntil: (work) => advanceLogsUntil([{ kv, clock }], work),
    [Symbol.asyncDispose]: () => log.close(),
  };
}

/** Awaits work on logs, moving their clocks on whenever nothing else is waited for. */
export async function advanceLogsUntil<T>(
  logs: readonly Pick<TestLog, "kv" | "clock">[],
  work: Promise<T>,
): Promise<T> {
  let done = false;
  const end = () => void (done = true);
  work.then(end, end);
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (done || logs.some(({ kv }) => kv.busy > 0)) continue;
    for (const clock of new Set(logs.map(({ clock }) => clock))) clock.advance(STEP_MS);
  }
  return await work;
}

/** A store that several logs use one after the other or at once. */
export interface SharedStore extends AsyncDisposable {
  open: () => Promise<Kv>;
}

/** Lets several logs use a store at once. Only the shared store closes it. */
export function shareStore(kv: Deno.Kv): SharedStore {
  const shared: Kv = {
    get: kv.get.bind(kv),
    getMany: kv.getMany.bind(kv),
    list: kv.list.bind(kv),
    atomic: kv.atomic.bind(kv),
    close() {},
  };
  return {
    open: () => Promise.resolve(shared),
    [Symbol.asyncDispose]: () => Promise.resolve(kv.close()),
  };
}

/** A store in memory, which ends when it is disposed of. */
export async function memoryStore(): Promise<SharedStore> {
  return shareStore(await Deno.openKv(":memory:"));
}

/** A store in a file, which each log opens anew. */
export async function fileStore(): Promise<SharedStore> {
  const folder = await Deno.makeTempDir();
  return {
    open: () => Deno.openKv(`${folder}/log.sqlite`),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** An event whose payload is a text. */
export function textEvent(text: string, channel = "events"): NewEvent {
  return { channel, payload: new TextEncoder().encode(text) };
}

/** The text of an event's payload. */
export function payloadText({ payload }: NewEvent): string {
  return new TextDecoder().decode(payload);
}

/** All texts that are retained, in order; throws where sequences do not follow each other. */
export async function readTexts(log: EventLog, pipeline: string): Promise<string[]> {
  const texts: string[] = [];
  let last: number | undefined;
  while (true) {
    const page = await log.readAfter(pipeline, last ?? 0, Infinity);
    if (!page || page.events.length === 0) return texts;
    for (const event of page.events) {
      if (last !== undefined && event.sequence !== last + 1) {
        throw new RangeError(`Expected sequence ${last + 1}, got ${event.sequence}`);
      }
      last = event.sequence;
      texts.push(payloadText(event));
    }
  }
}

/** The texts of the commits that were told to whoever listens. */
export function committedTexts(heard: readonly Commit[]): string[] {
  return heard.flatMap(({ segments }) => segments.flatMap((bytes) => unpackSegment(bytes)))
    .map(payloadText);
}

/** The sequences under which the store keeps segments of a pipeline. */
export async function storedSegments(kv: Kv, pipeline: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { key } of kv.list({ prefix: ["log", pipeline] })) found.push(Number(key[2]));
  return found;
}

/** Trims a pipeline behind its log's back, as another isolate may at any moment. */
export async function trimBelow(kv: Kv, pipeline: string, oldest: number): Promise<void> {
  const { value } = await kv.get<Record<string, unknown>>(headKey(pipeline));
  const operation = kv.atomic().set(headKey(pipeline), { ...value, oldest });
  for (const last of await storedSegments(kv, pipeline)) {
    if (last < oldest) operation.delete(["log", pipeline, last]);
  }
  await operation.commit();
}

/** Appends texts from "1" on, each in a segment of its own. */
export async function appendTexts({ log }: TestLog, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) await log.append("p_a", [textEvent(`${i}`)]);
}
