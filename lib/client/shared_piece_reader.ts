/**
 * A reader that does not wait.
 *
 * @module
 */

/** Options for {@linkcode PieceReader}. */
export interface PieceReaderOptions {
  /** Called when a piece can be taken. */
  onPiece: () => void;
  /** Called if the stream fails, with the reason. */
  onFailure: (reason: string) => void;
}

/** Reader of a stream, which reads one piece ahead of what is taken. */
export class PieceReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #options: PieceReaderOptions;
  #piece: ReadableStreamReadResult<Uint8Array> | null = null;
  #isReading = false;
  #isCanceled = false;

  constructor(stream: ReadableStream<Uint8Array>, options: PieceReaderOptions) {
    this.#reader = stream.getReader();
    this.#options = options;
  }

  /** Takes the next piece. If there is none yet, it returns `null` and begins to read one. */
  take(): ReadableStreamReadResult<Uint8Array> | null {
    const piece = this.#piece;
    this.#piece = null;
    if (!piece && !this.#isReading) void this.#read();
    return piece;
  }

  /** Cancels the stream. No callback is called any more. */
  cancel(): void {
    this.#isCanceled = true;
    this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      const piece = await this.#reader.read();
      this.#isReading = false;
      if (this.#isCanceled) return;
      this.#piece = piece;
      this.#options.onPiece();
    } catch (error) {
      if (!this.#isCanceled) this.#options.onFailure(`${(error as Error)?.message ?? error}`);
    }
  }
}
