/* @ts-self-types="../../client/shared_piece_reader.ts" */
// @ts-nocheck: built from lib/client/shared_piece_reader.ts by "deno task build".

export class PieceReader {
  #reader;
  #options;
  #piece = null;
  #isReading = false;
  #isCanceled = false;

  constructor(stream, options) {
    this.#reader = stream.getReader();
    this.#options = options;
  }

  take() {
    const piece = this.#piece;
    this.#piece = null;
    if (!piece && !this.#isReading) void this.#read();
    return piece;
  }

  cancel() {
    this.#isCanceled = true;
    this.#reader.cancel().catch(() => {});
  }

  async #read() {
    this.#isReading = true;
    try {
      const piece = await this.#reader.read();
      this.#isReading = false;
      if (this.#isCanceled) return;
      this.#piece = piece;
      this.#options.onPiece();
    } catch (error) {
      if (!this.#isCanceled) this.#options.onFailure(`${error?.message ?? error}`);
    }
  }
}
