/**
 * One log for all isolates of a process: the isolate that owns the log serves
 * it over message ports, and the others use it as if it were their own.
 *
 * @module
 */

import {
  deadline,
  describeCause,
  RunnelError,
  type RunnelErrorType,
  type Runtime,
} from "../base/mod.ts";
import {
  type AnnouncedHead,
  Backlog,
  type Change,
  type Head,
  type Log,
  type LogListener,
  type Page,
  type Receipt,
  requestBytes,
  type Ticket,
  type TicketEntry,
} from "../log/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";

/**
 * What an owner may take beyond its own deadlines, in milliseconds: its answer
 * knows more than ours.
 */
const GRACE_MS = 500;

/** What can be called over a port. */
type Method = Exclude<keyof Log, "pending" | "listen" | "close">;

/** A call; the answer bears its number. */
interface Call {
  id: number;
  method: Method;
  args: unknown[];
}

/** A failure as it crosses a port, which takes plain data alone. */
interface Failure {
  /** `null` for one that is not foreseen. */
  type: RunnelErrorType | null;
  message: string;
  cause: string | undefined;
}

/** Message from the owner: an answer, or a call of the listener. */
type Said =
  | { id: number; value: unknown }
  | { id: number; failure: Failure }
  | { change: Change }
  | { heads: readonly AnnouncedHead[] };

/**
 * Serves a log to another isolate.
 *
 * @param port The way to that isolate.
 * @param log The log, which this isolate owns.
 * @returns A listener that passes its calls on to the listener in the other isolate.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { systemRuntime as runtime } from "../base/mod.ts";
 * import { readConfig } from "../config/mod.ts";
 * import { openLog } from "./service.ts";
 *
 * const log = await openLog({ config: readConfig({}), open: () => Deno.openKv(":memory:") });
 * const { port1, port2 } = new MessageChannel();
 * serveLog(port1, log);
 * const remote = new RemoteLog(port2, { runtime, timeoutMs: 3000, maxWaitingBytes: 1024 * 1024 });
 * const event = { channel: "events", payload: new TextEncoder().encode("1") };
 * equal((await remote.append("p_aBcDeF", [event])).first, 1);
 * await remote.close();
 * port1.close();
 * await log.close();
 * ```
 */
export function serveLog(port: MessagePort, log: Log): LogListener {
  const say = (said: Said) => port.postMessage(said);
  port.onmessage = async ({ data }: MessageEvent<Call>) => {
    const { id, method, args } = data;
    try {
      const value: unknown = await Reflect.apply(log[method], log, args);
      say({ id, value });
    } catch (error) {
      say({ id, failure: toFailure(error) });
    }
  };
  return {
    onChange: (change) => say({ change }),
    onHeads: (heads) => say({ heads }),
  };
}

function toFailure(error: unknown): Failure {
  if (!(error instanceof RunnelError)) {
    return { type: null, message: describeCause(error), cause: undefined };
  }
  const { type, message, cause } = error;
  return { type, message, cause: cause === undefined ? undefined : describeCause(cause) };
}

function toError({ type, message, cause }: Failure): Error {
  return type === null
    ? new Error(message)
    : new RunnelError(type, message, cause === undefined ? {} : { cause });
}

/** What a {@linkcode RemoteLog} works with. */
export interface RemoteLogOptions {
  /** Clock used for timers and deadlines. */
  runtime: Pick<Runtime, "clock">;
  /** How long a publish may take the owner, as set there, in milliseconds. */
  timeoutMs: number;
  /** How many bytes of events may wait for the owner. */
  maxWaitingBytes: number;
}

/** A call that waits for its answer. */
interface Waiting extends PromiseWithResolvers<unknown> {
  /** What it is told where none comes. */
  late: () => RunnelError;
}

/** A log that another isolate owns. */
export class RemoteLog implements Log {
  readonly #port: MessagePort;
  readonly #options: RemoteLogOptions;
  /** An owner that hangs refuses nothing by itself. */
  readonly #backlog: Backlog;
  readonly #calls = new Map<number, Waiting>();
  #nextId = 1;
  #closed = false;
  #listener: LogListener | null = null;

  /**
   * Reaches a log.
   *
   * @param port The way to the isolate that calls {@linkcode serveLog}.
   * @param options What it works with.
   */
  constructor(port: MessagePort, options: RemoteLogOptions) {
    this.#port = port;
    this.#options = options;
    this.#backlog = new Backlog(options.maxWaitingBytes);
    port.onmessage = ({ data }: MessageEvent<Said>) => this.#hear(data);
  }

  /** Requests that wait for the owner, in bytes. It sweeps; nothing is swept here. */
  get pending(): { waitingBytes: number; sweeps: number } {
    return { waitingBytes: this.#backlog.bytes, sweeps: 0 };
  }

  #hear(said: Said): void {
    if ("change" in said) return this.#listener?.onChange(said.change);
    if ("heads" in said) return this.#listener?.onHeads(said.heads);
    // One that comes after its deadline was given up.
    const call = this.#calls.get(said.id);
    if ("failure" in said) call?.reject(toError(said.failure));
    else call?.resolve(said.value);
  }

  /**
   * Sets the listener of what the owner passes on over the port: heads, and the
   * changes too where there is no {@linkcode PipelineChannels}.
   *
   * @param listener The listener.
   */
  listen(listener: LogListener): void {
    this.#listener = listener;
  }

  /** As {@linkcode EventLog.append}. */
  async append(pipeline: string, events: readonly NewEvent[], key?: string): Promise<Receipt> {
    using _held = this.#backlog.add(requestBytes(events));
    return await this.#call<Receipt>("append", [pipeline, events, key], { onLate: unknown });
  }

  /** As {@linkcode EventLog.ensureHead}. */
  async ensureHead(pipeline: string): Promise<Head> {
    return await this.#call<Head>("ensureHead", [pipeline]);
  }

  /** As {@linkcode EventLog.head}. */
  async head(pipeline: string): Promise<Head | null> {
    return await this.#call<Head | null>("head", [pipeline]);
  }

  /** As {@linkcode EventLog.heads}. */
  async heads(pipelines: readonly string[]): Promise<(Head | null)[]> {
    return await this.#call<(Head | null)[]>("heads", [pipelines]);
  }

  /** As {@linkcode EventLog.waitForCommit}, of the owner's commits. */
  async waitForCommit(pipeline: string): Promise<void> {
    await this.#call("waitForCommit", [pipeline]);
  }

  /** As {@linkcode EventLog.readAfter}. */
  async readAfter(pipeline: string, sequence: number, maxBytes: number): Promise<Page | null> {
    return await this.#call<Page | null>("readAfter", [pipeline, sequence, maxBytes]);
  }

  /** As {@linkcode EventLog.clear}. */
  async clear(pipeline: string): Promise<Head | null> {
    return await this.#call<Head | null>("clear", [pipeline]);
  }

  /** As {@linkcode EventLog.readTicket}. */
  async readTicket(hash: string): Promise<TicketEntry | null> {
    return await this.#call<TicketEntry | null>("readTicket", [hash]);
  }

  /** As {@linkcode EventLog.ticketGenerations}. */
  async ticketGenerations(hashes: readonly string[]): Promise<(number | null)[]> {
    return await this.#call<(number | null)[]>("ticketGenerations", [hashes]);
  }

  /** As {@linkcode EventLog.writeTicket}. */
  async writeTicket(
    hash: string,
    ticket: Ticket,
    versionstamp: string | null,
    expireIn: number,
  ): Promise<boolean> {
    return await this.#call<boolean>("writeTicket", [hash, ticket, versionstamp, expireIn]);
  }

  /** As {@linkcode EventLog.ping}. */
  async ping(ms: number): Promise<void> {
    await this.#call("ping", [ms], { ms });
  }

  /** Leaves the log to the others: calls under way end as they do past their deadline. */
  close(): Promise<void> {
    this.#closed = true;
    for (const { reject, late } of this.#calls.values()) reject(late());
    this.#port.close();
    return Promise.resolve();
  }

  async #call<T>(
    method: Method,
    args: unknown[],
    // A publish may wait its time for its turn, and take it once more then.
    { ms = 2 * this.#options.timeoutMs + GRACE_MS, onLate = unavailable } = {},
  ): Promise<T> {
    if (this.#closed) throw new RunnelError("draining", "Cannot reach the log: closing");
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    const late = () => onLate(ms);
    this.#calls.set(id, { ...answer, late });
    try {
      this.#port.postMessage({ id, method, args } satisfies Call);
      return await deadline(this.#options.runtime.clock, ms, answer.promise, late) as T;
    } finally {
      this.#calls.delete(id);
    }
  }
}

function unavailable(ms: number): RunnelError {
  return new RunnelError(
    "log-unavailable",
    `Cannot reach the log: the isolate that has it did not answer within ${ms} ms. Try again`,
  );
}

function unknown(ms: number): RunnelError {
  return new RunnelError(
    "outcome-unknown",
    `Cannot confirm the publish: the log did not answer within ${ms} ms, and the events may have ` +
      "been stored. Publish them again with the same Idempotency-Key, and they are stored once",
  );
}
