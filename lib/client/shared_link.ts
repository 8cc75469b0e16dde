/**
 * The connection of a tab to the worker.
 *
 * @module
 */

import { isOfOtherVersion, isWorkerMessage } from "./shared_message_checks.ts";
import { type TabMessage, VERSION, type WorkerMessage } from "./shared_messages.ts";
import type { SharedWorkerLike } from "./shared_types.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** Time that a worker has to answer, in milliseconds. It may have to be loaded first. */
const WELCOME_MS = 10_000;

/** The part of a `LockManager` that a link uses. */
export interface LocksLike {
  /** Resolves when the callback has, which runs while the lock is held. */
  request(
    name: string,
    options: { signal: AbortSignal },
    callback: () => Promise<unknown>,
  ): Promise<unknown>;
}

/** Options for {@linkcode SharedLink}. */
export interface SharedLinkOptions {
  /** Starts the worker, or connects to the one that runs. */
  createWorker: () => SharedWorkerLike;
  locks: LocksLike;
  clock: ClientClock;
  /** Returns a name that nobody else has. */
  createName: () => string;
  /** Called with each message of the worker after its welcome. */
  onMessage: (message: WorkerMessage) => void;
  /** Called when the worker has answered. */
  onUp: () => void;
  /** Called when the link is lost. If it has failed permanently, no other one would do. */
  onDown: (reason: string, isPermanent: boolean) => void;
}

/**
 * A link, from its creation until it is closed or lost. A port does not tell that its other end is
 * gone. But each end holds a lock, which the browser releases when the page or the worker is gone,
 * for whatever reason. The page requests that of the worker; the worker looks for those of the
 * pages.
 */
export class SharedLink {
  readonly #options: SharedLinkOptions;
  readonly #controller = new AbortController();
  #worker: SharedWorkerLike | null = null;
  #isUp = false;
  #release = () => {};
  #cancelTimer = () => {};

  constructor(options: SharedLinkOptions) {
    this.#options = options;
    const name = options.createName();
    this.#hold(name, () => {
      this.#connect(name);
      return new Promise<void>((resolve) => this.#release = resolve);
    });
  }

  /** Whether the worker has answered, and is not gone. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Sends a message, if the link is up. */
  post(message: TabMessage): void {
    if (this.#isUp) this.#worker!.port.postMessage(message);
  }

  /** Closes it. The worker forgets the tab. */
  close(): void {
    this.post({ type: "bye" });
    this.#isUp = false;
    this.#cancelTimer();
    this.#controller.abort();
    this.#release();
    if (!this.#worker) return;
    this.#worker.onerror = this.#worker.port.onmessage = null;
    this.#worker.port.close();
    this.#worker = null;
  }

  #hold(name: string, use: () => Promise<void>): void {
    const { signal } = this.#controller;
    this.#options.locks.request(name, { signal }, use).catch((error) => {
      if (!signal.aborted) this.#lose(`${error?.message ?? error}`);
    });
  }

  #connect(lock: string): void {
    if (this.#controller.signal.aborted) return;
    const { createWorker, clock } = this.#options;
    try {
      this.#worker = createWorker();
    } catch (error) {
      return this.#lose(`The shared worker cannot be started: ${(error as Error).message}`, true);
    }
    const { port } = this.#worker;
    // Also if a policy of the page forbids it.
    this.#worker.onerror = () => this.#lose("The shared worker cannot be loaded", true);
    port.onmessage = ({ data }: MessageEvent<unknown>) => this.#take(data);
    port.start();
    port.postMessage({ type: "hello", version: VERSION, lock } satisfies TabMessage);
    this.#cancelTimer = clock.after(
      WELCOME_MS,
      () => this.#lose("The shared worker does not answer"),
    );
  }

  #take(data: unknown): void {
    if (isOfOtherVersion(data)) {
      // The browser keeps that worker at least as long as this page.
      this.#lose("The shared worker has another version of the client", true);
    } else if (!isWorkerMessage(data)) {
      this.#lose("The shared worker does not send what this client understands", true);
    } else if (data.type === "welcome") this.#welcome(data.lock);
    else if (this.#isUp) this.#options.onMessage(data);
  }

  #welcome(lock: string): void {
    this.#cancelTimer();
    this.#isUp = true;
    this.#hold(lock, () => {
      this.#lose("The shared worker has ended");
      return Promise.resolve();
    });
    this.#options.onUp();
  }

  #lose(reason: string, isPermanent = false): void {
    if (this.#controller.signal.aborted) return;
    // Without a farewell: nobody is there to read it.
    this.#isUp = false;
    this.close();
    this.#options.onDown(reason, isPermanent);
  }
}
