/**
 * A detector of responses to commits on a connection to the KV server. It reads
 * only the bytes, which are HTTP/2 frames.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9113#section-4.1}
 * @module
 */

/** The path of a commit, `/v2/atomic_write`, in the Huffman code of HPACK. */
const COMMIT_PATH = [0x63, 0xb8, 0x98, 0x1a, 0x4f, 0x49, 0x89, 0x17, 0x8b, 0x0c, 0x92, 0xff];

/** Connection preface, which a client sends before its first frame. */
const PREFACE_BYTES = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".length;

const FRAME_HEADER_BYTES = 9;
const HEADERS = 1;

/** Inspects both directions of one connection. */
export class CommitAnswers {
  /** HTTP/2 streams of the commits without a response yet. */
  readonly #streams = new Set<number>();
  readonly #up = new Frames(PREFACE_BYTES);
  readonly #down = new Frames(0);

  /** Inspects bytes from the client. */
  sent(bytes: Uint8Array): void {
    for (const { type, stream, payload } of this.#up.take(bytes)) {
      if (type === HEADERS && isCommit(payload)) this.#streams.add(stream);
    }
  }

  /** Inspects bytes from the server. Returns whether the response to a commit begins in them. */
  received(bytes: Uint8Array): boolean {
    let begins = false;
    for (const { type, stream } of this.#down.take(bytes)) {
      if (type === HEADERS && this.#streams.delete(stream)) begins = true;
    }
    return begins;
  }
}

interface Frame {
  type: number;
  stream: number;
  payload: Uint8Array;
}

/** Parses frames from bytes as they arrive. */
class Frames {
  #skip: number;
  #rest = new Uint8Array();

  constructor(skip: number) {
    this.#skip = skip;
  }

  *take(bytes: Uint8Array): Iterable<Frame> {
    let rest = new Uint8Array(this.#rest.length + bytes.length);
    rest.set(this.#rest);
    rest.set(bytes, this.#rest.length);
    const skipped = Math.min(this.#skip, rest.length);
    this.#skip -= skipped;
    rest = rest.subarray(skipped);
    while (rest.length >= FRAME_HEADER_BYTES) {
      const view = new DataView(rest.buffer, rest.byteOffset);
      const end = FRAME_HEADER_BYTES + (view.getUint32(0) >>> 8);
      if (rest.length < end) break;
      const payload = rest.subarray(FRAME_HEADER_BYTES, end);
      yield { type: view.getUint8(3), stream: view.getUint32(5), payload };
      rest = rest.subarray(end);
    }
    this.#rest = rest;
  }
}

function isCommit(headers: Uint8Array): boolean {
  return headers.some((_, at) => COMMIT_PATH.every((byte, index) => headers[at + index] === byte));
}
