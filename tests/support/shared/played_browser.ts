/**
 * A browser that is played: tabs, one shared worker, locks, and ports whose messages are delivered
 * when a test says so.
 *
 * @module
 */

import { SharedConnection } from "../../../lib/client/shared_connection.ts";
import type { LocksLike } from "../../../lib/client/shared_link.ts";
import type { TabMessage, WorkerMessage } from "../../../lib/client/shared_messages.ts";
import { SharedPorts, type WorkerPort } from "../../../lib/client/shared_ports.ts";
import { SharedStreams, type SharedStreamsOptions } from "../../../lib/client/shared_streams.ts";
import type { SharedSubscribeOptions, SharedWorkerLike } from "../../../lib/client/shared_types.ts";
import { subscribe } from "../../../lib/client/subscribe.ts";
import type { ClientClock } from "../../../lib/client/subscribe_options.ts";
import type { PlayedService, PlayedStream } from "./played_service.ts";

/** A clock that a test advances. */
export class PlayedClock implements ClientClock {
  #now = 1_000_000;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    while (true) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#now = Math.max(this.#now, due.at);
      this.#timers.delete(due);
      due.run();
    }
    this.#now = end;
  }

  stop(): void {
    this.#timers.clear();
  }
}

/** The locks of an origin, with the owner of each request. */
class PlayedLocks {
  readonly #queues = new Map<string, { owner: unknown; grant: () => void }[]>();

  for(owner: unknown): LocksLike {
    return {
      request: (name, options, use) => {
        const signal = (options as { signal?: AbortSignal }).signal;
        return new Promise((resolve, reject) => {
          const queue = this.#queues.get(name) ?? [];
          this.#queues.set(name, queue);
          const entry = {
            owner,
            grant: () => void use().then(resolve, reject).finally(() => this.#remove(name, entry)),
          };
          queue.push(entry);
          signal?.addEventListener("abort", () => {
            if (queue[0] === entry) return;
            queue.splice(queue.indexOf(entry), 1);
            reject(signal.reason);
          });
          if (queue.length === 1) queueMicrotask(() => queue[0] === entry && entry.grant());
        });
      },
    };
  }

  /** Names of the locks that are held. */
  get held(): Set<string> {
    return new Set([...this.#queues].filter(([, queue]) => queue.length > 0).map(([name]) => name));
  }

  /** Releases and withdraws everything of an owner that is gone. */
  release(owner: unknown): void {
    for (const [name, queue] of this.#queues) {
      for (const entry of queue.filter((entry) => entry.owner === owner)) this.#remove(name, entry);
    }
  }

  #remove(name: string, entry: { owner: unknown; grant: () => void }): void {
    const queue = this.#queues.get(name)!;
    const index = queue.indexOf(entry);
    if (index < 0) return;
    queue.splice(index, 1);
    const next = queue[0];
    if (index === 0 && next) queueMicrotask(() => queue[0] === next && next.grant());
  }
}

/** A worker, until it dies. */
class PlayedWorker {
  readonly clock = new PlayedClock();
  readonly streams: SharedStreams;
  readonly ports: SharedPorts;
  isAlive = true;

  constructor(service: PlayedService, locks: PlayedLocks, name: string) {
    const fetch: PlayedService["fetch"] = (url, init) =>
      this.isAlive ? service.fetch(url, init) : new Promise(() => {});
    const open: SharedStreamsOptions["subscribe"] = (url, options) =>
      subscribe(url, { ...options, fetch, random: () => 0.5 });
    this.streams = new SharedStreams({ subscribe: open, clock: this.clock });
    this.ports = new SharedPorts(this.streams, Promise.resolve(name));
    const check = () => {
      this.ports.removeGone(locks.held);
      this.clock.after(5_000, check);
    };
    check();
    void locks.for(this).request(name, {} as never, () => new Promise(() => {}));
  }
}

/** A page with one subscription. */
export class PlayedTab {
  readonly clock = new PlayedClock();
  readonly subscription: SharedConnection;
  readonly page = new EventTarget();
  /** Messages on their way to the tab. */
  readonly inbox: { port: PlayedPort; message: unknown }[] = [];
  readonly streams = new Set<PlayedStream>();
  isFrozen = false;
  isGone = false;
  /** Changes a message of the tab, or of the worker to it: one of the two has another version. */
  alter: (message: TabMessage | WorkerMessage) => unknown = (message) => message;
  /** Sends anything to the worker, by its newest port. */
  post: (message: unknown) => void = () => {};

  constructor(
    readonly browser: PlayedBrowser,
    url: string,
    options: SharedSubscribeOptions,
  ) {
    const { service } = browser;
    this.subscription = new SharedConnection(url, { ...options, clock: this.clock }, {
      createWorker: () => browser.connect(this),
      locks: browser.locks.for(this),
      clock: this.clock,
      random: () => browser.random(),
      createName: () => browser.createName(),
      fetch: async (url, init) => {
        if (this.isGone) return await new Promise(() => {});
        const response = await service.fetch(url, init);
        const stream = [...service.streams].find(({ body }) => body === response.body);
        if (stream) this.streams.add(stream);
        return response;
      },
      page: this.page,
    }, "");
    this.subscription.closed.catch(() => {});
  }

  /** Takes messages of the worker. */
  receive(count: number): void {
    if (this.isFrozen || this.isGone) return;
    for (const { port, message } of this.inbox.splice(0, count)) port.receive(message);
  }

  /** Ends it, as a crash does: nobody is told. */
  crash(): void {
    this.isGone = true;
    this.clock.stop();
    for (const stream of this.streams) stream.cut(false);
    this.browser.tabs.delete(this);
    this.browser.locks.release(this);
  }
}

/** The tab's end of a port. */
class PlayedPort {
  onmessage: ((event: MessageEvent) => void) | null = null;
  isClosed = false;
  readonly #post: (message: TabMessage) => void;

  constructor(post: (message: TabMessage) => void) {
    this.#post = post;
  }

  postMessage(message: TabMessage): void {
    if (!this.isClosed) this.#post(structuredClone(message));
  }

  start(): void {}

  close(): void {
    this.isClosed = true;
  }

  receive(message: unknown): void {
    if (!this.isClosed) this.onmessage?.({ data: message } as MessageEvent);
  }
}

/** A browser with the tabs of one origin. */
export class PlayedBrowser {
  readonly locks = new PlayedLocks();
  readonly tabs = new Set<PlayedTab>();
  /** Messages on their way to the worker. */
  readonly outbox: (() => void)[] = [];
  worker: PlayedWorker | null = null;
  /** Greatest number of messages that waited for a tab. */
  mostWaiting = 0;
  #names = 0;

  constructor(readonly service: PlayedService, readonly random: () => number) {}

  open(url: string, options: SharedSubscribeOptions): PlayedTab {
    const tab = new PlayedTab(this, url, options);
    this.tabs.add(tab);
    return tab;
  }

  createName(): string {
    return `lock-${this.#names++}`;
  }

  /** Connects a tab to the worker, which is started if there is none. */
  connect(tab: PlayedTab): SharedWorkerLike {
    const worker = this.worker ??= new PlayedWorker(this.service, this.locks, this.createName());
    const post = tab.post = (data) =>
      this.outbox.push(() => {
        if (worker.isAlive) entry.onmessage?.({ data } as MessageEvent);
      });
    const port = new PlayedPort((message) => post(tab.alter(message)));
    const entry: WorkerPort = {
      onmessage: null,
      postMessage: (message) => {
        if (!worker.isAlive || tab.isGone) return;
        tab.inbox.push({ port, message: structuredClone(tab.alter(message)) });
        this.mostWaiting = Math.max(this.mostWaiting, tab.inbox.length);
      },
      close() {},
    };
    worker.ports.connect(entry);
    return { port, onerror: null };
  }

  /** Takes messages of the tabs. */
  receive(count: number): void {
    for (const run of this.outbox.splice(0, count)) run();
  }

  /** Ends the worker, as a browser does that needs its memory. */
  killWorker(): void {
    const { worker } = this;
    if (!worker) return;
    worker.isAlive = false;
    worker.clock.stop();
    this.worker = null;
    const own = new Set([...this.tabs].flatMap((tab) => [...tab.streams]));
    for (const stream of this.service.openStreams) if (!own.has(stream)) stream.cut(false);
    this.locks.release(worker);
  }
}
