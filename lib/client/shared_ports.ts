/**
 * The ports of the worker to the tabs.
 *
 * @module
 */

import { isOfOtherVersion, isTabMessage } from "./shared_message_checks.ts";
import { type TabMessage, VERSION, type WorkerMessage } from "./shared_messages.ts";
import type { SharedStreams } from "./shared_streams.ts";
import type { Tab } from "./shared_tab.ts";

/** The part of a `MessagePort` that is used. */
export interface WorkerPort {
  /** Called with each message of the tab. */
  onmessage: ((event: MessageEvent<unknown>) => void) | null;
  /** Sends a message to the tab. */
  postMessage(message: WorkerMessage): void;
  /** Closes it. */
  close(): void;
}

/** Ports of the worker, each with its tab. */
export class SharedPorts {
  readonly #streams: SharedStreams;
  /** Name of the lock of the worker, once it holds that. */
  readonly #lock: Promise<string>;
  /** Tabs that have said hello, with their ports and the locks that they hold. */
  readonly #tabs = new Map<Tab, { lock: string; port: WorkerPort }>();

  constructor(streams: SharedStreams, lock: Promise<string>) {
    this.#streams = streams;
    this.#lock = lock;
  }

  /** Adds a port. A tab whose messages cannot be understood shares nothing, and harms no other. */
  connect(port: WorkerPort): void {
    const tab = this.#streams.connect(port);
    port.onmessage = ({ data }) => {
      if (isTabMessage(data) && !isOfOtherVersion(data)) return this.#take(tab, port, data);
      tab.stop("The shared worker does not understand the tab", true);
      this.#forget(tab, port);
      // It learns the version of the worker, and goes on by itself.
      if (isOfOtherVersion(data)) void this.#welcome(port);
    };
  }

  /**
   * Removes the tabs that are gone. The worker does not request their locks: a browser does not keep
   * a page to come back to while somebody waits for its lock.
   *
   * @param held Names of the locks that are held.
   */
  removeGone(held: ReadonlySet<string>): void {
    for (const [tab, { lock, port }] of this.#tabs) {
      if (held.has(lock)) continue;
      this.#forget(tab, port);
      port.close();
    }
  }

  #take(tab: Tab, port: WorkerPort, message: TabMessage): void {
    if (message.type === "hello") {
      this.#tabs.set(tab, { lock: message.lock, port });
      void this.#welcome(port);
    } else if (message.type === "bye") this.#forget(tab, port);
    else this.#streams.take(tab, message);
  }

  async #welcome(port: WorkerPort): Promise<void> {
    port.postMessage({ type: "welcome", version: VERSION, lock: await this.#lock });
  }

  #forget(tab: Tab, port: WorkerPort): void {
    port.onmessage = null;
    this.#tabs.delete(tab);
    this.#streams.disconnect(tab);
  }
}
