/* @ts-self-types="../../client/shared_body.ts" */
// @ts-nocheck: built from lib/client/shared_body.ts by "deno task build".

import { StreamParser } from "./stream_parser.js";
import { lengthOf } from "./shared_messages.js";
import {
  comparePositions,
  formatPositions,
  haveReached,
  readPositions,
} from "./shared_positions.js";

export class SharedBody {
  stream;
  #options;
  #parser;
  #encoder = new TextEncoder();
  #live = new Set();
  #ended = new Set();
  #replayed = new Map();
  #own;
  #isReading = false;
  #ownPiece = null;
  #positions;
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
    this.#positions = readPositions(lastEventId, pipelines) ?? new Map();
    this.#own = own?.getReader() ?? null;
    this.#wasLiveBefore = own !== null;
    this.#isFed = own === null;
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#close(),
    }, { highWaterMark: 0 });
  }

  get isApart() {
    return !this.#isClosed && this.#own !== null && this.#isLive;
  }

  get openPipelines() {
    return this.#options.pipelines.filter((each) => !this.#ended.has(each));
  }

  get positions() {
    return this.#positions;
  }

  begin(number, since) {
    const isComparable = this.openPipelines.every((each) =>
      !Number.isNaN(comparePositions(this.#positions.get(each), since.get(each)))
    );
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
    if (this.#isFed) this.cut(reason);
    else this.#feed = null;
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
      const piece = this.#ownPiece;
      this.#ownPiece = null;
      if (piece) return this.#takeOwn(piece);
      this.#readOwn(this.#own);
    } else {
      const message = this.#feed?.messages.shift();
      if (message) return this.#takeMessage(message);
    }
    await new Promise((resolve) => this.#wake = resolve);
    return "";
  }

  #leaveOwn() {
    if (!this.#own || !this.#feed || !this.#isLive) return;
    if (!haveReached(this.#positions, this.#feed.since, this.openPipelines)) return;
    this.#cancelOwn();
    this.#isFed = true;
    this.#options.onFed();
  }

  #cancelOwn() {
    this.#own?.cancel().catch(() => {});
    this.#own = this.#ownPiece = null;
  }

  #readOwn(own) {
    if (this.#isReading) return;
    this.#isReading = true;
    own.read().then((piece) => {
      this.#isReading = false;
      if (this.#own) this.#ownPiece = piece;
      this.#wake();
    }, (error) => {
      if (this.#own) this.cut(`${error?.message ?? error}`);
    });
  }

  #takeOwn({ done, value }) {
    if (done) {
      this.#close();
      return "";
    }
    const { retryMs } = this.#parser;
    const blocks = this.#parser.push(value);
    let text = this.#parser.retryMs === retryMs ? "" : `retry: ${this.#parser.retryMs}\n`;
    const wasLive = this.#isLive;
    for (const block of blocks) {
      this.#note(block);
      text += encodeBlock(block);
    }
    if (this.#isLive && !wasLive) this.#options.onLive();
    // A sign of life, as the piece was.
    return text || ":\n";
  }

  #note({ id, type, data }) {
    const { pipelines } = this.#options;
    this.#positions = readPositions(id, pipelines) ?? this.#positions;
    if (data === null || !/^runnel\.(live|gap|end)$/.test(type)) return;
    const pipeline = pipelines.length > 1 ? JSON.parse(data).pipeline : pipelines[0];
    if (type === "runnel.gap") this.#live.delete(pipeline);
    else this.#live.add(pipeline);
    if (type === "runnel.end") this.#ended.add(pipeline);
  }

  get #isLive() {
    const { pipelines } = this.#options;
    return pipelines.every((each) => this.#live.has(each) && this.#positions.has(each));
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
      if (this.#wasLiveBefore) return "";
      return this.openPipelines.map((pipeline) =>
        this.#encodeControl("live", pipeline, { replayed: this.#replayed.get(pipeline) ?? 0 })
      ).join("");
    }
    for (const [pipeline, position] of message.positions) {
      if (comparePositions(position, this.#positions.get(pipeline)) > 0) {
        this.#positions.set(pipeline, position);
      }
    }
    return `:\n${this.#encodeId()}`;
  }

  #takeEvent(event) {
    const { pipeline, id } = event;
    const position = this.#positions.get(pipeline);
    const distance = comparePositions(id, position);
    if (distance <= 0) return "";
    const isNext = event.type !== "gap" ||
      comparePositions(position, event.after) >= 0 && comparePositions(position, event.upTo) <= 0;
    if (!(distance > 0) || !isNext) {
      this.#options.onHurry();
      throw new Error("The shared stream does not continue here");
    }
    this.#positions.set(pipeline, id);
    if (event.type === "gap") {
      return this.#encodeControl("gap", pipeline, { missed: event.missed, reason: event.reason });
    }
    if (event.type === "end") {
      this.#ended.add(pipeline);
      return this.#encodeControl("end", pipeline, { events: event.events });
    }
    this.#replayed.set(pipeline, (this.#replayed.get(pipeline) ?? 0) + 1);
    const type = this.#isMultiple ? `${pipeline}/${event.channel}` : event.channel;
    return `event: ${type}\ndata: ${event.data}\n${this.#encodeId()}`;
  }

  #encodeControl(name, pipeline, details) {
    const data = JSON.stringify(this.#isMultiple ? { pipeline, ...details } : details);
    return `event: runnel.${name}\ndata: ${data}\n${this.#encodeId()}`;
  }

  #encodeId() {
    return `id: ${formatPositions(this.#positions, this.#options.pipelines)}\n\n`;
  }

  get #isMultiple() {
    return this.#options.pipelines.length > 1;
  }

  #close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelOwn();
    this.#wake();
    this.#options.onClosed();
  }
}

function encodeBlock({ id, type, data }) {
  const event = data === null
    ? ""
    : `event: ${type}\n${data.split("\n").map((line) => `data: ${line}\n`).join("")}`;
  return `${event}${id && `id: ${id}\n`}\n`;
}
