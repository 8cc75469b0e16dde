/**
 * Reads an event stream in bytes, as clients do by the standard.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation}
 * @module
 */

import { ByteBuffer } from "./byte_buffer.ts";
import { LineSplitter } from "./line_splitter.ts";

const COLON = 0x3a;
const SPACE = 0x20;
const encoder = new TextEncoder();
const LINE_FEED = encoder.encode("\n");
const DATA = encoder.encode("data");
const EVENT = encoder.encode("event");
const EMPTY = new Uint8Array();

/** An event of a stream. Its bytes are views, which are valid until the next event is taken. */
export interface ReadEvent {
  /** Event type; empty without one. The bytes are not checked for being UTF-8. */
  type: Uint8Array;
  /** Data, its lines joined by LF. The bytes are not checked for being UTF-8. */
  data: Uint8Array;
  /** Number of the line on which the event begins, from 1 on: that of its first `event` or `data`. */
  line: number;
}

/**
 * Reader of one event stream. It passes over comments, `id`, `retry` and unknown
 * fields, and over blocks without data.
 */
export class EventStreamReader {
  readonly #lines: LineSplitter;
  #type: Uint8Array = EMPTY;
  readonly #data = new ByteBuffer();
  #hasData = false;
  /** Line on which the block begins, or 0 while it has no field. */
  #start = 0;

  /**
   * @param checkBytes Called with the number of bytes that a block needs so far, its last
   *   line included. Throws if there are too many.
   */
  constructor(checkBytes: (bytes: number) => void) {
    this.#lines = new LineSplitter({
      takesCr: true,
      checkLength: (bytes) => checkBytes(bytes + this.#fieldBytes),
    });
  }

  /** Number of the line that is being read, from 1 on. */
  get line(): number {
    return this.#lines.line;
  }

  /** Bytes of the unfinished block. */
  get heldBytes(): number {
    return this.#lines.heldBytes + this.#fieldBytes;
  }

  get #fieldBytes(): number {
    return this.#type.length + this.#data.length;
  }

  /** Yields the events that a piece completes. All have to be taken before the next piece. */
  *read(piece: Uint8Array): Generator<ReadEvent, void> {
    for (const line of this.#lines.split(piece)) {
      if (line.length > 0) {
        this.#readField(line);
        continue;
      }
      const event = { type: this.#type, data: this.#data.view(), line: this.#start };
      const isEvent = this.#hasData;
      this.#type = EMPTY;
      this.#data.clear();
      this.#hasData = false;
      this.#start = 0;
      if (isEvent) yield event;
    }
  }

  #readField(line: Uint8Array): void {
    const colon = line.indexOf(COLON);
    const end = colon < 0 ? line.length : colon;
    const isData = isName(line, end, DATA);
    if (!isData && !isName(line, end, EVENT)) return;
    this.#start ||= this.#lines.line;
    const value = line.subarray(line[end + 1] === SPACE ? end + 2 : end + 1);
    if (!isData) {
      this.#type = value.slice();
      return;
    }
    if (this.#hasData) this.#data.append(LINE_FEED);
    this.#data.append(value);
    this.#hasData = true;
  }
}

/** Whether a line begins with a name that ends at an index. */
function isName(line: Uint8Array, end: number, name: Uint8Array): boolean {
  return end === name.length && name.every((byte, index) => line[index] === byte);
}
