/* @ts-self-types="../../client/shared_ports.ts" */
// @ts-nocheck: built from lib/client/shared_ports.ts by "deno task build".

import { isOfOtherVersion, isTabMessage } from "./shared_message_checks.js";
import { VERSION } from "./shared_messages.js";

export class SharedPorts {
  #streams;
  #lock;
  #tabs = new Map();

  constructor(streams, lock) {
    this.#streams = streams;
    this.#lock = lock;
  }

  connect(port) {
    const tab = this.#streams.connect(port);
    port.onmessage = ({ data }) => {
      if (isTabMessage(data) && !isOfOtherVersion(data)) return this.#take(tab, port, data);
      tab.stop("The shared worker does not understand the tab", true);
      this.#forget(tab, port);
      // It learns the version of the worker, and goes on by itself.
      if (isOfOtherVersion(data)) void this.#welcome(port);
    };
  }

  removeGone(held) {
    for (const [tab, { lock, port }] of this.#tabs) {
      if (held.has(lock)) continue;
      this.#forget(tab, port);
      port.close();
    }
  }

  #take(tab, port, message) {
    if (message.type === "hello") {
      this.#tabs.set(tab, { lock: message.lock, port });
      void this.#welcome(port);
    } else if (message.type === "bye") this.#forget(tab, port);
    else this.#streams.take(tab, message);
  }

  async #welcome(port) {
    port.postMessage({ type: "welcome", version: VERSION, lock: await this.#lock });
  }

  #forget(tab, port) {
    port.onmessage = null;
    this.#tabs.delete(tab);
    this.#streams.disconnect(tab);
  }
}
