/**
 * A durable log on a store that a test can make fail, with a clock that the
 * test controls.
 *
 * @module
 */

import type { NewEvent } from "../../lib/protocol/event.ts";
import { KvTicketStore } from "../../lib/access/kv_ticket_store.ts";
import { systemClock } from "../../lib/base/clock.ts";
import type { Runtime } from "../../lib/base/runtime.ts";
import { EventLog } from "../../lib/log/event_log.ts";
import type { EventLogOptions } from "../../lib/log/event_log_options.ts";
import type { Retention } from "../../lib/log/head.ts";
import { headKey } from "../../lib/log/keys.ts";
import { type Kv, KvConnection } from "../../lib/kv/kv_connection.ts";
import type { Commit } from "../../lib/log/commit.ts";
import { unpackSegment } from "../../lib/log/segment.ts";
import { HeadReader } from "../../lib/log/unwritten.ts";
import { createMetrics, type Metrics } from "../../lib/telemetry/metrics.ts";
import { FakeClock } from "./fakes/clock.ts";
import { collectReports } from "./fakes/reporter.ts";
import { FaultyKv } from "./fakes/kv.ts";
import { endWork } from "./wait.ts";

/** Timeout of a call to the log of a test, in milliseconds. */
export const TIMEOUT_MS = 3000;

/** Step by which the clock is advanced, in milliseconds: more than any jitter. */
const STEP_MS = 60;

/** Longest step after a calm, in milliseconds: to the next timer, if that is sooner. */
const LONG_STEP_MS = 1000;

/** Steps without a call to a store, after which only a timer can be what is awaited. */
const CALM_STEPS = 20;

/** Options for {@linkcode createTestLog}. */
export interface TestLogOptions {
  /** Opens the store. The default is a store in memory. */
  open?: () => Promise<Kv>;
  /** Whether the store is reached over a network. */
  remote?: boolean;
  /** Whether other processes write to the store. */
  shared?: boolean;
  clock?: FakeClock;
  retention?: Partial<Retention>;
  maxKeys?: number;
  maxWaitingBytes?: number;
  maxIdleWriters?: number;
  timeoutMs?: number;
  random?: () => number;
  /** Whether the log finishes deletions, and deletes what has expired. */
  upkeep?: { expireMs: number };
  /** Erases the file of a store, which must be one that its user cannot close. */
  erase?: EventLogOptions["erase"];
  reserve?: EventLogOptions["reserve"];
}

/** A log with the parts that a test inspects. Disposing it closes it. */
export interface TestLog extends AsyncDisposable {
  log: EventLog;
  /** Tickets in the same store. */
  tickets: KvTicketStore;
  metrics: Metrics;
  kv: FaultyKv;
  clock: FakeClock;
  /** Commits that the listener received. */
  commits: Commit[];
  /** The listener. A test can dispose it, and set another. */
  listening: Disposable;
  /** Reports to the operator. */
  reports: string[];
  /** Like {@linkcode advanceLogsUntil}, for this log. */
  advanceUntil: <T>(work: Promise<T>) => Promise<T>;
}

/** Creates a log for a test. */
export async function createTestLog({
  open = () => Deno.openKv(":memory:"),
  remote = false,
  shared = false,
  clock = new FakeClock(),
  retention = {},
  maxKeys = 1_000_000,
  maxWaitingBytes = 64 * 1024 * 1024,
  maxIdleWriters,
  timeoutMs = TIMEOUT_MS,
  random = Math.random,
  upkeep,
  erase = null,
  reserve,
}: TestLogOptions = {}): Promise<TestLog> {
  const commits: Commit[] = [];
  const reports: string[] = [];
  const runtime: Runtime = { clock, random, report: collectReports(reports) };
  const inner = await open();
  await prepareStore(inner);
  const kv = new FaultyKv(inner);
  const connection = await KvConnection.open({
    // A remote connection that misses a deadline is closed, and this one serves the test on.
    open: () => Promise.resolve(remote ? withoutClose(kv) : kv),
    // A store that fails is a test of its own, and no part of what the log reports.
    runtime: { clock, report() {} },
    timeoutMs,
    remote,
  });
  const metrics = createMetrics();
  const log = new EventLog({
    kv: connection,
    shared,
    runtime,
    metrics,
    retention: { events: 1000, ms: 60_000, bytes: 32 * 1024 * 1024, ...retention },
    maxKeys,
    timeoutMs,
    maxWaitingBytes,
    maxIdleWriters,
    upkeep,
    erase,
    reserve,
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
    metrics,
    kv,
    clock,
    commits,
    listening,
    reports,
    advanceUntil: (work) => advanceLogsUntil([{ kv, clock }], work),
    async [Symbol.asyncDispose]() {
      await log.close();
      if (remote) kv.close();
    },
  };
}

/** Creates the secret of a store, so that no call of a test does. */
export async function prepareStore(kv: Kv): Promise<void> {
  const runtime = { clock: systemClock, random: Math.random };
  await new HeadReader(runtime).read((use) => use(kv), "p_prepared");
}

/**
 * Awaits work on logs, and advances their clocks whenever no call to a store is in flight. The
 * steps become longer when no store was called for some.
 */
export async function advanceLogsUntil<T>(
  logs: readonly Pick<TestLog, "kv" | "clock">[],
  work: Promise<T>,
): Promise<T> {
  let done = false;
  const end = () => void (done = true);
  work.then(end, end);
  const clocks = new Set(logs.map(({ clock }) => clock));
  let calm = 0;
  let calls = 0;
  while (!done) {
    await endWork();
    if (done) break;
    const before = calls;
    calls = logs.reduce((total, { kv }) => total + kv.totalCalls, 0);
    calm = calls === before ? calm + 1 : 0;
    const next = Math.min(...clocks.values().map(({ untilNext }) => untilNext));
    const step = calm < CALM_STEPS ? STEP_MS : Math.max(STEP_MS, Math.min(next, LONG_STEP_MS));
    for (const clock of clocks) clock.advance(step);
  }
  return await work;
}

/** Returns a store whose user cannot close it. */
function withoutClose(kv: Kv): Kv {
  return {
    get: kv.get.bind(kv),
    getMany: kv.getMany.bind(kv),
    list: kv.list.bind(kv),
    atomic: kv.atomic.bind(kv),
    close() {},
  };
}

/** A store that several logs use in turn or in parallel. */
export interface SharedStore extends AsyncDisposable {
  open: () => Promise<Kv>;
  /** Whether it is reached over a network. */
  remote?: boolean;
}

/** Shares a store between several logs. Only the shared store closes it. */
export function shareStore(kv: Deno.Kv): SharedStore {
  const shared = withoutClose(kv);
  return {
    open: () => Promise.resolve(shared),
    [Symbol.asyncDispose]: () => Promise.resolve(kv.close()),
  };
}

/** Creates a store in memory, which is lost when disposed. */
export async function memoryStore(): Promise<SharedStore> {
  return shareStore(await Deno.openKv(":memory:"));
}

/** Creates a store in a file, to which each log opens its own connection. */
export async function fileStore(): Promise<SharedStore> {
  const folder = await Deno.makeTempDir();
  return {
    open: () => Deno.openKv(`${folder}/log.sqlite`),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Creates an event whose payload is a text. */
export function textEvent(text: string, channel = "events"): NewEvent {
  return { channel, payload: new TextEncoder().encode(text) };
}

/** Returns the payload of an event as text. */
export function payloadText({ payload }: NewEvent): string {
  return new TextDecoder().decode(payload);
}

/** Returns all retained texts, in order; throws if the sequences are not contiguous. */
export async function readTexts(
  log: Pick<EventLog, "readAfter">,
  pipeline: string,
): Promise<string[]> {
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

/** Returns the texts of the commits that a listener received. */
export function committedTexts(commits: readonly Commit[]): string[] {
  return commits.flatMap(({ segments }) => segments.flatMap((bytes) => unpackSegment(bytes)))
    .map(payloadText);
}

/** Returns the sequences in the keys of a pipeline's segments. */
export async function storedSegments(kv: Kv, pipeline: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { key } of kv.list({ prefix: ["log", pipeline] })) found.push(Number(key[2]));
  return found;
}

/** Returns the keys of all records. */
export async function storedKeys(kv: Kv): Promise<Deno.KvKey[]> {
  return (await Array.fromAsync(kv.list({ prefix: [] }))).map(({ key }) => key);
}

/** Trims a pipeline without its log, as another isolate may at any time. */
export async function trimBelow(kv: Kv, pipeline: string, oldest: number): Promise<void> {
  const { value } = await kv.get<Record<string, unknown>>(headKey(pipeline));
  const operation = kv.atomic().set(headKey(pipeline), { ...value, oldest });
  for (const last of await storedSegments(kv, pipeline)) {
    if (last < oldest) operation.delete(["log", pipeline, last]);
  }
  await operation.commit();
}

/** Appends texts from "1" on, each in its own segment. */
export async function appendTexts({ log }: TestLog, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) await log.append("p_a", [textEvent(`${i}`)]);
}
