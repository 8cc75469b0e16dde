/**
 * Incremental parser of the event stream format.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream}
 * @module
 */

/** Maximum length of a block that has not ended, in UTF-16 code units. An event has 64 Ki at most. */
const MAX_LENGTH = 1024 * 1024;

/** A block of an event stream: the lines between two blank ones. */
export interface StreamBlock {
  /** Last event ID as of this block. */
  id: string;
  /** Event type; `message` if the block has none. */
  type: string;
  /** Data, its lines joined by LF; `null` if the block has none, so that it is no event. */
  data: string | null;
}

/** Parser of one connection's event stream, which takes its bytes in pieces of any size. */
export class StreamParser {
  /** Reconnection time that the stream asked for, in milliseconds. */
  retryMs: number | null = null;
  // Without its own search for a byte order mark: that of Deno removes later ones, too.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** Character that is passed over at the start of the next piece. */
  #skipped = "\uFEFF";
  /** The unfinished line. */
  #line = "";
  #id: string;
  #type = "";
  /** The lines of the data, each with an LF. */
  #data = "";

  /** @param lastEventId ID that the connection was opened with. It stays until another comes. */
  constructor(lastEventId = "") {
    this.#id = lastEventId;
  }

  /**
   * Parses the next piece of the stream.
   *
   * @returns The blocks that the piece completes.
   * @throws {Error} If a block has no end: something else than the service has sent it.
   *
   * @example An event in two pieces
   * ```ts
   * import { deepStrictEqual as deepEqual } from "node:assert/strict";
   *
   * const encoder = new TextEncoder();
   * const parser = new StreamParser();
   * deepEqual(parser.push(encoder.encode("id: a-1\nevent: orders\nda")), []);
   * deepEqual(parser.push(encoder.encode("ta: 7\n\n")), [{ id: "a-1", type: "orders", data: "7" }]);
   * ```
   */
  push(piece: Uint8Array): StreamBlock[] {
    const blocks: StreamBlock[] = [];
    let text = this.#decoder.decode(piece, { stream: true });
    if (!text) return blocks;
    // A byte order mark at the start of the stream, or the LF of a CR that has ended its line already.
    if (text[0] === this.#skipped) text = text.slice(1);
    this.#skipped = text.endsWith("\r") ? "\n" : "";
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop()!;
    for (const line of lines) {
      if (line) this.#readField(line);
      else this.#endBlock(blocks);
    }
    if (this.#line.length + this.#data.length > MAX_LENGTH) {
      throw new Error("An event has no end");
    }
    return blocks;
  }

  #endBlock(blocks: StreamBlock[]): void {
    const data = this.#data ? this.#data.slice(0, -1) : null;
    blocks.push({ id: this.#id, type: this.#type || "message", data });
    this.#type = this.#data = "";
  }

  #readField(line: string): void {
    // At the first colon alone: the pattern takes the rest of the line.
    const [name, value = ""] = line.split(/: ?(.*)/s);
    if (name === "data") this.#data += `${value}\n`;
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = +value;
  }
}
