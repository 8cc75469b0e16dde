/* @ts-self-types="../../client/shared_record.ts" */
// @ts-nocheck: built from lib/client/shared_record.ts by "deno task build".

import { lengthOf } from "./shared_messages.js";

const MAX_COUNT = 1_000;

const MAX_LENGTH = 1024 * 1024;

export class SharedRecord {
  #since;
  #events = [];
  #length = 0;

  constructor(since) {
    this.#since = new Map(since);
  }

  get since() {
    return this.#since;
  }

  get events() {
    return this.#events;
  }

  add(event, positions) {
    this.#events.push(event);
    this.#length += lengthOf(event);
    if (this.#events.length > MAX_COUNT || this.#length > MAX_LENGTH) this.restart(positions);
  }

  restart(since) {
    this.#since = new Map(since);
    this.#events = [];
    this.#length = 0;
  }
}
