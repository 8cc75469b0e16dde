/**
 * A reader of streams in both syntaxes, which is cut off after any number of bytes. It knows
 * each position that its client has, also without an event.
 *
 * @module
 */

/** Item of a stream: an event, or a position alone. */
export interface JoinedItem {
  /** Last event ID from here on, if it changes. */
  id: string | undefined;
  /** Type as on a stream of several pipelines; `undefined` for a position alone. */
  type: string | undefined;
  /** Data as JSON text. */
  data: string;
}

/** Options for {@linkcode JoinedReader}. */
export interface JoinedReaderOptions {
  /** Whether the stream is lines of JSON. */
  isLines: boolean;
  /** Number of bytes after which the connection breaks. */
  maxBytes: number;
  /** Pipeline of a stream of one, whose events do not name it. */
  pipeline: string | null;
}

/** Reads the items of a stream, one after another. */
export class JoinedReader {
  readonly #options: JoinedReaderOptions;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #items: JoinedItem[] = [];
  #bytes = 0;
  #rest = "";
  /** Whether the connection broke before the stream ended. */
  isCut = false;

  constructor(body: ReadableStream<Uint8Array>, options: JoinedReaderOptions) {
    this.#options = options;
    this.#reader = body.getReader();
  }

  /** Returns the next item, or `null` at the end of the stream and when the connection breaks. */
  async next(): Promise<JoinedItem | null> {
    while (this.#items.length === 0) {
      if (this.isCut) return null;
      const { done, value } = await this.#reader.read();
      if (done) return null;
      const room = this.#options.maxBytes - this.#bytes;
      this.#bytes += value.length;
      this.#feed(this.#decoder.decode(value.subarray(0, Math.max(0, room)), { stream: true }));
      if (value.length < room) continue;
      this.isCut = true;
      await this.#reader.cancel();
    }
    return this.#items.shift()!;
  }

  /** Cancels the stream, as a client that disconnects. */
  async cancel(): Promise<void> {
    this.isCut = true;
    await this.#reader.cancel();
  }

  #feed(text: string): void {
    const { isLines } = this.#options;
    const parts = (this.#rest + text).split(isLines ? "\n" : "\n\n");
    this.#rest = parts.pop()!;
    for (const part of parts) {
      const item = isLines ? this.#readLine(part) : this.#readBlock(part);
      if (item) this.#items.push(item);
    }
  }

  #readBlock(text: string): JoinedItem | null {
    const fields = new Map(
      text.split("\n").map((line) => /^([a-z]*): ?(.*)$/s.exec(line)?.slice(1) ?? [line, ""]) as [
        string,
        string,
      ][],
    );
    const [id, type, data] = ["id", "event", "data"].map((name) => fields.get(name));
    if (data === undefined) return id === undefined ? null : { id, type: undefined, data: "" };
    return this.#named(id, type!, data);
  }

  #readLine(text: string): JoinedItem | null {
    if (text === "") return null;
    const { id, channel, pipeline, payload } = JSON.parse(text);
    if (channel === undefined) return { id, type: undefined, data: "" };
    const isControl = channel.startsWith("runnel.");
    const type = isControl || pipeline === undefined ? channel : `${pipeline}/${channel}`;
    return this.#named(id, type, JSON.stringify(payload));
  }

  /** Returns an event as it is on a stream of several pipelines. */
  #named(id: string | undefined, type: string, data: string): JoinedItem {
    const { pipeline } = this.#options;
    if (pipeline === null) return { id, type, data };
    if (!type.startsWith("runnel.")) return { id, type: `${pipeline}/${type}`, data };
    return { id, type, data: JSON.stringify({ pipeline, ...JSON.parse(data) }) };
  }
}
