/* @ts-self-types="../../client/shared_body.ts" */
// @ts-nocheck: built from lib/client/shared_body.ts by "deno task build".

import { encodeBlock, encodeEvent, encodeKeepAlive, encodeLive } from "./shared_encoder.js";
import { lengthOf } from "./shared_messages.js";
import { PieceReader } from "./shared_piece_reader.js";
import { SharedProgress } from "./shared_progress.js";
import { StreamParser } from "./stream_parser.js";

export class SharedBody {
  stream;
  #options;
  #parser;
  #progress;
  #encoder = new TextEncoder();
  #own;
  #feed = null;
  #isFed;
  #wasLiveBefore;
  #failure = null;
  #isClosed = false;
  #wake = () => {};

  constructor(options) {
    const { pipelines, lastEventId, own } = options;
    this.#options = options;
    this.#parser = new StreamParser(lastEventId);
    this.#progress = new SharedProgress(pipelines, lastEventId);
    this.#own = own && new PieceReader(own, {
      onPiece: () => this.#wake(),
      onFailure: (reason) => this.cut(reason),
    });
    this.#wasLiveBefore = own !== null;
    this.#isFed = own === null;
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#close(),
    }, { highWaterMark: 0 });
  }

  get isApart() {
    return !this.#isClosed && this.#own !== null && this.#progress.isLive;
  }

  get openPipelines() {
    return this.#progress.openPipelines;
  }

  get positions() {
    return this.#progress.positions;
  }

  begin(number, since) {
    const isComparable = this.#progress.isComparable(since);
    this.#feed = isComparable ? { number, since, messages: [] } : null;
    this.#wake();
    return isComparable;
  }

  take(message) {
    if (message.feed !== this.#feed?.number) return false;
    if (message.type === "stop" && !this.#isFed) {
      this.#feed = null;
      return true;
    }
    this.#feed.messages.push(message);
    this.#wake();
    return false;
  }

  loseFeed(reason) {
    if (!this.#isFed) {
      this.#feed = null;
      return;
    }
    this.#options.onHurry();
    this.cut(reason);
  }

  cut(reason) {
    if (this.#isClosed) return;
    this.#failure = new Error(reason);
    this.#close();
  }

  async #pull(controller) {
    let text = "";
    try {
      while (text === "" && !this.#isClosed) text = await this.#next();
    } catch (error) {
      this.cut(error.message);
    }
    if (this.#failure) return controller.error(this.#failure);
    if (text !== "") controller.enqueue(this.#encoder.encode(text));
    if (this.openPipelines.length === 0) this.#close();
    if (this.#isClosed) controller.close();
  }

  async #next() {
    this.#leaveOwn();
    if (this.#own) {
      const piece = this.#own.take();
      if (piece) return this.#takeOwn(piece);
    } else {
      const message = this.#feed?.messages.shift();
      if (message) return this.#takeMessage(message);
    }
    await new Promise((resolve) => this.#wake = resolve);
    return "";
  }

  #leaveOwn() {
    if (!this.#feed || !this.isApart || !this.#progress.hasReached(this.#feed.since)) return;
    this.#cancelOwn();
    this.#isFed = true;
    this.#options.onFed();
  }

  #cancelOwn() {
    this.#own?.cancel();
    this.#own = null;
  }

  #takeOwn({ done, value }) {
    if (done) {
      this.#close();
      return "";
    }
    const { retryMs } = this.#parser;
    const blocks = this.#parser.push(value);
    let text = this.#parser.retryMs === retryMs ? "" : `retry: ${this.#parser.retryMs}\n`;
    const wasLive = this.#progress.isLive;
    for (const block of blocks) {
      this.#progress.takeBlock(block);
      text += encodeBlock(block);
    }
    if (this.#progress.isLive && !wasLive) this.#options.onLive();
    // A sign of life, as the piece was.
    return text || ":\n";
  }

  #takeMessage(message) {
    if (message.type === "stop") {
      if (message.isPlanned) this.#options.onHurry();
      throw new Error(message.reason);
    }
    if (message.type === "events") {
      let text = "";
      for (const event of message.events) {
        text += this.#takeEvent(event);
        this.#options.onTaken(lengthOf(event));
      }
      return text;
    }
    this.#options.onTaken(0);
    if (message.type === "live") {
      // The stream of the tab's own has told it.
      return this.#wasLiveBefore ? "" : encodeLive(this.#progress);
    }
    this.#progress.advance(message.positions);
    return encodeKeepAlive(this.#progress);
  }

  #takeEvent(event) {
    const place = this.#progress.takeEvent(event);
    if (place === "next") return encodeEvent(event, this.#progress);
    if (place === "known") return "";
    this.#options.onHurry();
    throw new Error("The shared stream does not continue here");
  }

  #close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelOwn();
    this.#wake();
    this.#options.onClosed();
  }
}
