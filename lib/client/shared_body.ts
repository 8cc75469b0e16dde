/**
 * The event stream of one tab, part of which comes from the shared stream.
 *
 * @module
 */

import { type StreamBlock, StreamParser } from "./stream_parser.ts";
import { type FeedMessage, lengthOf, type SharedEvent } from "./shared_messages.ts";
import {
  comparePositions,
  formatPositions,
  haveReached,
  type Positions,
  readPositions,
} from "./shared_positions.ts";

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
  readonly #encoder = new TextEncoder();
  readonly #live = new Set<string>();
  readonly #ended = new Set<string>();
  /** Number of events since the beginning of the feed, by pipeline. */
  readonly #replayed = new Map<string, number>();
  #own: ReadableStreamDefaultReader<Uint8Array> | null;
  #isReading = false;
  #ownPiece: ReadableStreamReadResult<Uint8Array> | null = null;
  #positions: Positions;
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
    this.#positions = readPositions(lastEventId, pipelines) ?? new Map();
    this.#own = own?.getReader() ?? null;
    this.#wasLiveBefore = own !== null;
    this.#isFed = own === null;
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#close(),
    }, { highWaterMark: 0 });
  }

  /** Whether the stream of the tab's own is live, and is still read. */
  get isApart(): boolean {
    return !this.#isClosed && this.#own !== null && this.#isLive;
  }

  /** Pipelines whose run has not ended. */
  get openPipelines(): string[] {
    return this.#options.pipelines.filter((each) => !this.#ended.has(each));
  }

  /** Position of each pipeline. */
  get positions(): ReadonlyMap<string, string> {
    return this.#positions;
  }

  /**
   * Begins a feed.
   *
   * @returns Whether it can be joined to the events so far.
   */
  begin(number: number, since: ReadonlyMap<string, string>): boolean {
    const isComparable = this.openPipelines.every((each) =>
      !Number.isNaN(comparePositions(this.#positions.get(each), since.get(each)))
    );
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
    if (this.#isFed) this.cut(reason);
    else this.#feed = null;
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
      const piece = this.#ownPiece;
      this.#ownPiece = null;
      if (piece) return this.#takeOwn(piece);
      this.#readOwn(this.#own);
    } else {
      const message = this.#feed?.messages.shift();
      if (message) return this.#takeMessage(message);
    }
    await new Promise<void>((resolve) => this.#wake = resolve);
    return "";
  }

  /** Leaves the stream of the tab's own, once it has all events that the feed does not bring. */
  #leaveOwn(): void {
    if (!this.#own || !this.#feed || !this.#isLive) return;
    if (!haveReached(this.#positions, this.#feed.since, this.openPipelines)) return;
    this.#cancelOwn();
    this.#isFed = true;
    this.#options.onFed();
  }

  #cancelOwn(): void {
    this.#own?.cancel().catch(() => {});
    this.#own = this.#ownPiece = null;
  }

  /** Reads one piece ahead. */
  #readOwn(own: ReadableStreamDefaultReader<Uint8Array>): void {
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

  #takeOwn({ done, value }: ReadableStreamReadResult<Uint8Array>): string {
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

  /** Takes note of the positions and the markers in a block of the service. */
  #note({ id, type, data }: StreamBlock): void {
    const { pipelines } = this.#options;
    this.#positions = readPositions(id, pipelines) ?? this.#positions;
    if (data === null || !/^runnel\.(live|gap|end)$/.test(type)) return;
    const pipeline = pipelines.length > 1 ? JSON.parse(data).pipeline : pipelines[0]!;
    if (type === "runnel.gap") this.#live.delete(pipeline);
    else this.#live.add(pipeline);
    if (type === "runnel.end") this.#ended.add(pipeline);
  }

  get #isLive(): boolean {
    const { pipelines } = this.#options;
    return pipelines.every((each) => this.#live.has(each) && this.#positions.has(each));
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

  #takeEvent(event: SharedEvent): string {
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

  #encodeControl(name: string, pipeline: string, details: Record<string, unknown>): string {
    const data = JSON.stringify(this.#isMultiple ? { pipeline, ...details } : details);
    return `event: runnel.${name}\ndata: ${data}\n${this.#encodeId()}`;
  }

  #encodeId(): string {
    return `id: ${formatPositions(this.#positions, this.#options.pipelines)}\n\n`;
  }

  get #isMultiple(): boolean {
    return this.#options.pipelines.length > 1;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelOwn();
    this.#wake();
    this.#options.onClosed();
  }
}

function encodeBlock({ id, type, data }: StreamBlock): string {
  const event = data === null
    ? ""
    : `event: ${type}\n${data.split("\n").map((line) => `data: ${line}\n`).join("")}`;
  return `${event}${id && `id: ${id}\n`}\n`;
}
