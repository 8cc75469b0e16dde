/* @ts-self-types="../../client/shared_link.ts" */
// @ts-nocheck: built from lib/client/shared_link.ts by "deno task build".

import { isOfOtherVersion, isWorkerMessage } from "./shared_message_checks.js";
import { VERSION } from "./shared_messages.js";

const WELCOME_MS = 10_000;

export class SharedLink {
  #options;
  #controller = new AbortController();
  #worker = null;
  #isUp = false;
  #release = () => {};
  #cancelTimer = () => {};

  constructor(options) {
    this.#options = options;
    const name = options.createName();
    this.#hold(name, () => {
      this.#connect(name);
      return new Promise((resolve) => this.#release = resolve);
    });
  }

  get isUp() {
    return this.#isUp;
  }

  post(message) {
    if (this.#isUp) this.#worker.port.postMessage(message);
  }

  close() {
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

  #hold(name, use) {
    const { signal } = this.#controller;
    this.#options.locks.request(name, { signal }, use).catch((error) => {
      if (!signal.aborted) this.#lose(`${error?.message ?? error}`);
    });
  }

  #connect(lock) {
    if (this.#controller.signal.aborted) return;
    const { createWorker, clock } = this.#options;
    try {
      this.#worker = createWorker();
    } catch (error) {
      return this.#lose(`The shared worker cannot be started: ${error.message}`, true);
    }
    const { port } = this.#worker;
    // Also if a policy of the page forbids it.
    this.#worker.onerror = () => this.#lose("The shared worker cannot be loaded", true);
    port.onmessage = ({ data }) => this.#take(data);
    port.start();
    port.postMessage({ type: "hello", version: VERSION, lock });
    this.#cancelTimer = clock.after(
      WELCOME_MS,
      () => this.#lose("The shared worker does not answer"),
    );
  }

  #take(data) {
    if (isOfOtherVersion(data)) {
      // The browser keeps that worker at least as long as this page.
      this.#lose("The shared worker has another version of the client", true);
    } else if (!isWorkerMessage(data)) {
      this.#lose("The shared worker does not send what this client understands", true);
    } else if (data.type === "welcome") this.#welcome(data.lock);
    else if (this.#isUp) this.#options.onMessage(data);
  }

  #welcome(lock) {
    this.#cancelTimer();
    this.#isUp = true;
    this.#hold(lock, () => {
      this.#lose("The shared worker has ended");
      return Promise.resolve();
    });
    this.#options.onUp();
  }

  #lose(reason, isPermanent = false) {
    if (this.#controller.signal.aborted) return;
    // Without a farewell: nobody is there to read it.
    this.#isUp = false;
    this.close();
    this.#options.onDown(reason, isPermanent);
  }
}
