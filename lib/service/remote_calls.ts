/**
 * Calls of objects in another isolate, over a message port. Each call has a
 * deadline, and a failure keeps its type.
 *
 * @module
 */

import {
  type Clock,
  deadline,
  describeCause,
  RunnelError,
  type RunnelErrorType,
} from "../base/mod.ts";

/** Object of which all methods can be called remotely. */
type Remote<T> = { [K in keyof T]: (...args: never[]) => Promise<unknown> };

/** A call; the answer has its ID. */
interface Call {
  id: number;
  object: string;
  method: string;
  args: unknown[];
}

/** An error as it crosses a port, which takes plain data only. */
interface Failure {
  /** `null` for an unexpected error. */
  type: RunnelErrorType | null;
  message: string;
  cause: string | undefined;
}

/** Message from the isolate that has the objects: an answer, or news of its own. */
type PortMessage<News> =
  | { id: number; value: unknown }
  | { id: number; failure: Failure }
  | { news: News };

/**
 * Answers the calls of objects, by their names.
 *
 * @returns Posts news to the {@linkcode RemoteCaller} at the other end of the port.
 */
export function answerCalls<News>(
  port: MessagePort,
  objects: Readonly<Record<string, object>>,
): (news: News) => void {
  const post = (message: PortMessage<News>) => port.postMessage(message);
  port.onmessage = async ({ data }: MessageEvent<Call>) => {
    const { id, object, method, args } = data;
    try {
      const target = objects[object]!;
      const value: unknown = await Reflect.apply(Reflect.get(target, method), target, args);
      post({ id, value });
    } catch (error) {
      post({ id, failure: toFailure(error) });
    }
  };
  return (news) => post({ news });
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

/** Options for {@linkcode RemoteCaller}. */
export interface RemoteCallerOptions<News> {
  /** Clock used for deadlines. */
  clock: Clock;
  /** Deadline of a call without one of its own, in milliseconds. */
  timeoutMs: number;
  /** Called with news from the other isolate. */
  onNews: (news: News) => void;
}

/** Options for {@linkcode RemoteCaller.call}. */
export interface RemoteCallOptions {
  /** Deadline of the call, in milliseconds. */
  ms?: number;
  /** Returns the error of a missed deadline. @default {`log-unavailable`} */
  onLate?: (ms: number) => RunnelError;
}

/** A call in flight. */
interface PendingCall extends PromiseWithResolvers<unknown> {
  /** Returns the error of a missed deadline. */
  late: () => RunnelError;
}

/** Caller of objects that another isolate has. */
export class RemoteCaller<News> {
  readonly #port: MessagePort;
  readonly #options: RemoteCallerOptions<News>;
  readonly #calls = new Map<number, PendingCall>();
  #nextId = 1;
  #closed = false;

  constructor(port: MessagePort, options: RemoteCallerOptions<News>) {
    this.#port = port;
    this.#options = options;
    port.onmessage = ({ data }: MessageEvent<PortMessage<News>>) => this.#onMessage(data);
  }

  #onMessage(message: PortMessage<News>): void {
    if ("news" in message) return this.#options.onNews(message.news);
    // The call is absent if its deadline was missed.
    const call = this.#calls.get(message.id);
    if ("failure" in message) call?.reject(toError(message.failure));
    else call?.resolve(message.value);
  }

  /**
   * Returns an object whose methods call those of an object in the other isolate.
   *
   * @param names All methods; the type makes sure that none is missing.
   */
  remote<T extends Remote<T>>(object: string, names: Record<keyof T & string, true>): T {
    const methods = Object.keys(names).map((method) => {
      return [method, (...args: unknown[]) => this.call(object, method, args)];
    });
    return Object.fromEntries(methods);
  }

  /** Calls a method. Rejects with its error, or with that of a missed deadline. */
  async call<T>(
    object: string,
    method: string,
    args: unknown[],
    { ms = this.#options.timeoutMs, onLate = unavailable }: RemoteCallOptions = {},
  ): Promise<T> {
    if (this.#closed) throw new RunnelError("draining", "Cannot reach the log: closing");
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    const late = () => onLate(ms);
    this.#calls.set(id, { ...answer, late });
    try {
      this.#port.postMessage({ id, object, method, args } satisfies Call);
      return await deadline(this.#options.clock, ms, answer.promise, late) as T;
    } finally {
      this.#calls.delete(id);
    }
  }

  /** Closes the port. Calls in flight end as if their deadline had passed. */
  close(): void {
    this.#closed = true;
    for (const { reject, late } of this.#calls.values()) reject(late());
    this.#port.close();
  }
}

function unavailable(ms: number): RunnelError {
  return new RunnelError(
    "log-unavailable",
    `Cannot reach the log: the isolate that has it did not answer within ${ms} ms. Try again`,
  );
}
