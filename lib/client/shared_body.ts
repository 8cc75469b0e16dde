/**
 * The event stream of one tab, part of which comes from the shared stream.
 *
 * @module
 */

import { encodeBlock, encodeEvent, encodeKeepAlive, encodeLive } from "./shared_encoder.ts";
import { type FeedMessage, lengthOf, type SharedEvent } from "./shared_messages.ts";
import { PieceReader } from "./shared_piece_reader.ts";
import { SharedProgress } from "./shared_progress.ts";
import { StreamParser } from "./stream_parser.ts";

/** Options for {@linkcode SharedBody}. */
export interface SharedBodyOptions {
  /** Pipelines of the tab, in the order of its URL. */
  pipelines: readonly string[];
  /** Last event ID that the stream continues after; empty without one. */
  lastEventId: string;
  /** Answer of the service; `null` to begin with a feed. */
  own: ReadableStream<Uint8Array> | null;
  /** Called when the stream of the tab's own is live: it may be left for a feed. */
  onLive: () => void;
  /** Called when that stream was left, and all further events are those of the feed. */
  onFed: () => void;
  /** Called for each event and sign of life of the feed that was taken, with its length. */
  onTaken: (length: number) => void;
  /** Called before an error after which the client had better come back at once. */
  onHurry: () => void;
  /** Called once, when no further event is read. */
  onClosed: () => void;
}

/** A feed of the shared stream. */
interface Feed {
  readonly number: number;
  /** It has all events after these positions. */
  readonly since: ReadonlyMap<string, string>;
  readonly messages: FeedMessage[];
}

/**
 * An event stream that begins with the service's answer to this tab, and goes on with a feed of
 * the shared stream. The first one is read until it has all events that the feed does not bring.
 * Events that both bring are dropped by their positions, so that there is no seam.
 */
export class SharedBody {
  /** The event stream, for the client to read. It takes no more than is asked for. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: SharedBodyOptions;
  readonly #parser: StreamParser;
  readonly #progress: SharedProgress;
  readonly #encoder = new TextEncoder();
  /** Reader of the stream of the tab's own, until that is left. */
  #own: PieceReader | null;
  #feed: Feed | null = null;
  /** Whether the events are those of the feed. */
  #isFed: boolean;
  readonly #wasLiveBefore: boolean;
  #failure: Error | null = null;
  #isClosed = false;
  #wake = () => {};

  constructor(options: SharedBodyOptions) {
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

  /** Whether the stream of the tab's own is live, and is still read. */
  get isApart(): boolean {
    return !this.#isClosed && this.#own !== null && this.#progress.isLive;
  }

  /** Pipelines whose run has not ended. */
  get openPipelines(): string[] {
    return this.#progress.openPipelines;
  }

  /** Position of each pipeline. */
  get positions(): ReadonlyMap<string, string> {
    return this.#progress.positions;
  }

  /**
   * Begins a feed.
   *
   * @returns Whether it can be joined to the events so far.
   */
  begin(number: number, since: ReadonlyMap<string, string>): boolean {
    const isComparable = this.#progress.isComparable(since);
    this.#feed = isComparable ? { number, since, messages: [] } : null;
    this.#wake();
    return isComparable;
  }

  /**
   * Takes a message of the feed.
   *
   * @returns Whether the feed was given up, while the stream of the tab's own goes on.
   */
  take(message: FeedMessage): boolean {
    if (message.feed !== this.#feed?.number) return false;
    if (message.type === "stop" && !this.#isFed) {
      this.#feed = null;
      return true;
    }
    this.#feed.messages.push(message);
    this.#wake();
    return false;
  }

  /** Gives up the feed: ends the stream by an error, unless that of the tab's own is read. */
  loseFeed(reason: string): void {
    if (!this.#isFed) {
      this.#feed = null;
      return;
    }
    this.#options.onHurry();
    this.cut(reason);
  }

  /** Ends the stream by an error. */
  cut(reason: string): void {
    if (this.#isClosed) return;
    this.#failure = new Error(reason);
    this.#close();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    let text = "";
    try {
      while (text === "" && !this.#isClosed) text = await this.#next();
    } catch (error) {
      this.cut((error as Error).message);
    }
    if (this.#failure) return controller.error(this.#failure);
    if (text !== "") controller.enqueue(this.#encoder.encode(text));
    if (this.openPipelines.length === 0) this.#close();
    if (this.#isClosed) controller.close();
  }

  /** Reads the next text of the stream; empty if there is none yet. */
  async #next(): Promise<string> {
    this.#leaveOwn();
    if (this.#own) {
      const piece = this.#own.take();
      if (piece) return this.#takeOwn(piece);
    } else {
      const message = this.#feed?.messages.shift();
      if (message) return this.#takeMessage(message);
    }
    await new Promise<void>((resolve) => this.#wake = resolve);
    return "";
  }

  /** Leaves the stream of the tab's own, once it has all events that the feed does not bring. */
  #leaveOwn(): void {
    if (!this.#feed || !this.isApart || !this.#progress.hasReached(this.#feed.since)) return;
    this.#cancelOwn();
    this.#isFed = true;
    this.#options.onFed();
  }

  #cancelOwn(): void {
    this.#own?.cancel();
    this.#own = null;
  }

  #takeOwn({ done, value }: ReadableStreamReadResult<Uint8Array>): string {
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

  #takeMessage(message: FeedMessage): string {
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

  #takeEvent(event: SharedEvent): string {
    const place = this.#progress.takeEvent(event);
    if (place === "next") return encodeEvent(event, this.#progress);
    if (place === "known") return "";
    this.#options.onHurry();
    throw new Error("The shared stream does not continue here");
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelOwn();
    this.#wake();
    this.#options.onClosed();
  }
}
