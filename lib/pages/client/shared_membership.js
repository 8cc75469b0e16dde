/* @ts-self-types="../../client/shared_membership.ts" */
// @ts-nocheck: built from lib/client/shared_membership.ts by "deno task build".

import { SharedLinks } from "./shared_links.js";

const ANSWER_MS = 500;

const AGAIN_MS = 5_000;

const ALONE = "No other tab shares this stream yet";

export class SharedMembership {
  links;
  body = null;
  token;
  #options;
  #number = 0;
  #isJoined = false;
  #answer = null;
  #taken = { count: 0, length: 0 };
  #isAcknowledging = false;

  constructor(options) {
    const { platform, clock, obstacle, onApart } = options;
    this.#options = options;
    this.links = new SharedLinks({
      createWorker: platform.createWorker,
      locks: platform.locks,
      clock,
      createName: platform.createName,
      canShare: obstacle === "",
      onMessage: (message) => this.#take(message),
      onUp: () => {
        onApart(ALONE);
        this.announce();
      },
      onDown: (reason) => {
        this.#isJoined = false;
        onApart(reason);
        this.#answer?.(null);
        this.body?.loseFeed(reason);
      },
    });
    onApart(obstacle || ALONE);
  }

  announce() {
    if (this.body?.isApart) this.#join(this.body, true);
  }

  ask(body, onAnswer) {
    const cancel = this.#options.clock.after(ANSWER_MS, () => this.#answer?.(null));
    this.#answer = (message) => {
      this.#answer = null;
      cancel();
      onAnswer(message);
    };
    this.#join(body, false);
  }

  acknowledge(length) {
    this.#taken.count++;
    this.#taken.length += length;
    if (this.#isAcknowledging) return;
    this.#isAcknowledging = true;
    queueMicrotask(() => {
      this.#isAcknowledging = false;
      this.links.post({ type: "acknowledge", feed: this.#number, ...this.#taken });
    });
  }

  leave() {
    if (this.#isJoined) this.links.post({ type: "leave" });
    this.#isJoined = false;
    // What is on its way is for nobody.
    this.#number++;
  }

  close() {
    this.links.close();
    this.#isJoined = false;
  }

  #join({ openPipelines: pipelines, positions }, hasStream) {
    if (!this.links.isUp) return;
    const { url, channels, share } = this.#options;
    this.#taken = { count: 0, length: 0 };
    this.#isJoined = true;
    this.links.post({
      type: "join",
      join: ++this.#number,
      url,
      pipelines,
      channels,
      token: this.token,
      share,
      positions: new Map([...positions].filter(([each]) => pipelines.includes(each))),
      hasStream,
    });
  }

  #take(message) {
    switch (message.type) {
      case "welcome":
        return;
      case "where":
        return this.announce();
      case "poke":
        return this.#options.onPoke();
      case "alone":
      case "down":
        if (message.join !== this.#number) return;
        // A tab that waits is poked.
        this.#isJoined = false;
        return this.#answer?.(message);
      case "feed":
        if (message.feed !== this.#number) return;
        if (this.#answer) return this.#answer(message);
        if (!this.body?.begin(message.feed, message.positions)) this.#retreat();
        return;
      default:
        if (message.feed !== this.#number) return;
        if (message.type === "stop") this.#isJoined = false;
        if (this.body?.take(message)) this.#retreat();
    }
  }

  #retreat() {
    this.leave();
    this.#options.clock.after(AGAIN_MS, () => this.announce());
  }
}
