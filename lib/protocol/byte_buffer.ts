/**
 * A buffer for bytes that arrive in pieces.
 *
 * @module
 */

/** Size of the first array, and of the largest that is kept while the buffer is empty, in bytes. */
const SMALL_BYTES = 1024;

const EMPTY = new Uint8Array();

/**
 * Growing array of bytes. It copies what is appended, so it retains no piece, and it
 * doubles: to append n bytes moves at most 3n, however small the pieces are.
 */
export class ByteBuffer {
  #bytes: Uint8Array = EMPTY;
  #length = 0;

  /** Number of bytes. */
  get length(): number {
    return this.#length;
  }

  /** Appends a copy of a piece. */
  append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length, SMALL_BYTES));
      larger.set(this.view());
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** Returns a view of the bytes. It is valid until the next piece is appended, after `clear` as well. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Removes the bytes, and releases a large array. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > SMALL_BYTES) this.#bytes = EMPTY;
  }
}
