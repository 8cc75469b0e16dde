/**
 * Splits bytes that arrive in pieces into lines.
 *
 * @module
 */

import { ByteBuffer } from "./byte_buffer.ts";
import { withoutByteOrderMark } from "./byte_order_mark.ts";

const LF = 10;
const CR = 13;

/** Shared: a piece may have nothing but line breaks, and a view of each would fill the memory. */
const EMPTY = new Uint8Array();

/** Options for {@linkcode LineSplitter}. */
export interface LineSplitterOptions {
  /** Whether CR and CRLF end a line as well, or LF alone. */
  takesCr: boolean;
  /**
   * Called with the length of each line, and of an unfinished one after each piece, in
   * bytes without its break. Throws if the line is too long.
   */
  checkLength: (bytes: number) => void;
}

/**
 * Splitter of a text into lines, without their breaks. The lines are the same however
 * the text is cut, and each byte is looked at a fixed number of times. A byte order
 * mark at the start of the text is removed.
 */
export class LineSplitter {
  readonly #takesCr: boolean;
  readonly #checkLength: (bytes: number) => void;
  /** The unfinished line. */
  readonly #held = new ByteBuffer();
  /** Whether the last piece ended with a CR: an LF that follows belongs to it. */
  #isAfterCr = false;
  #line = 1;

  /** Creates a splitter at the start of a text. */
  constructor({ takesCr, checkLength }: LineSplitterOptions) {
    this.#takesCr = takesCr;
    this.#checkLength = checkLength;
  }

  /** Number of the line that was yielded last, or is unfinished, from 1 on. */
  get line(): number {
    return this.#line;
  }

  /** Length of the unfinished line, in bytes. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /**
   * Yields the lines that a piece completes. Each is a view, which is valid until the
   * next one is taken. All have to be taken before the next piece.
   */
  *split(piece: Uint8Array): Generator<Uint8Array, void> {
    if (piece.length === 0) return;
    let start = this.#isAfterCr && piece[0] === LF ? 1 : 0;
    this.#isAfterCr = false;
    const breaks = new Breaks(piece, this.#takesCr);
    for (let end = breaks.find(start); end < piece.length; end = breaks.find(start)) {
      const line = this.#complete(start === end ? EMPTY : piece.subarray(start, end));
      start = end + 1;
      if (piece[end] === CR) {
        // The line is not held until the next piece: that may take minutes to come.
        if (start === piece.length) this.#isAfterCr = true;
        else if (piece[start] === LF) start++;
      }
      yield line;
      this.#line++;
    }
    this.#hold(piece.subarray(start));
  }

  /** Returns the unfinished line at the end of the text, which may be empty. */
  end(): Uint8Array {
    return this.#complete(EMPTY);
  }

  #complete(part: Uint8Array): Uint8Array {
    let line = part;
    if (this.#held.length > 0) {
      this.#hold(part);
      line = this.#held.view();
      this.#held.clear();
    } else this.#checkLength(part.length);
    // A mark that is cut in two is whole again here.
    return this.#line === 1 ? withoutByteOrderMark(line) : line;
  }

  #hold(part: Uint8Array): void {
    this.#checkLength(this.#held.length + part.length);
    this.#held.append(part);
  }
}

/** The line breaks of a piece, in order. */
class Breaks {
  readonly #piece: Uint8Array;
  /** Indexes of the next breaks of each kind: they are searched for once, not for each line. */
  #lf = -1;
  #cr = -1;

  constructor(piece: Uint8Array, takesCr: boolean) {
    this.#piece = piece;
    if (!takesCr) this.#cr = piece.length;
  }

  /** Returns the index of the first break from an index on, or the length of the piece. */
  find(start: number): number {
    if (this.#lf < start) this.#lf = this.#indexOf(LF, start);
    if (this.#cr < start) this.#cr = this.#indexOf(CR, start);
    return Math.min(this.#lf, this.#cr);
  }

  #indexOf(byte: number, start: number): number {
    const index = this.#piece.indexOf(byte, start);
    return index < 0 ? this.#piece.length : index;
  }
}
